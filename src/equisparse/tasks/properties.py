"""Compare properties of materials and molecules before and after a fine-tune."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms

from equisparse.deploy.calculator import AdaptedCalculator, check_adapter
from equisparse.errors import InputError
from equisparse.inference.structures import bare, check_structures
from equisparse.inputs.base import configured_base
from equisparse.inputs.frames import Frames, load_structures, write_unlabelled
from equisparse.inputs.reference_values import References, read_references
from equisparse.inputs.splits import read_splits
from equisparse.inputs.typical import named_structures, typical_structures
from equisparse.observables.kind import kind_of
from equisparse.observables.measure import DEFAULT_PARTS, PARTS, Measured, MeasureOptions, measured
from equisparse.observables.phonons import check_phonopy
from equisparse.observables.radial import RadialDistribution, radial_distribution
from equisparse.observables.relations import add_relations
from equisparse.observables.relaxation import RelaxOptions
from equisparse.observables.rows import (
    BASE,
    FINE_TUNED,
    UNITS,
    BandPoint,
    ElasticRow,
    Model,
    PropertyRow,
    RadialPoint,
    Source,
    StructureRow,
    VolumePoint,
)
from equisparse.options import check_positive, nearest
from equisparse.report.html.document import write_report
from equisparse.robustness.dynamics import DynamicsOptions
from equisparse.run.folder import Run, RunLike, opened_run
from equisparse.run.properties import PropertiesFolder
from equisparse.tasks.listener import Listener
from equisparse.wording import counted

_Results = Mapping[Model, Mapping[str, Measured]]
"""Model -> name of a structure -> its properties."""


@dataclass(frozen=True)
class PropertiesResult:
    """Properties before and after a fine-tune.

    Parameters
    ----------
    rows : tuple of PropertyRow
        Values by structure and property.
    structures : tuple of StructureRow
        Symmetry and notes of each structure, as each model relaxes it.
    folder : Path
        Folder of the tables and of the relaxed structures.
    """

    rows: tuple[PropertyRow, ...]
    structures: tuple[StructureRow, ...]
    folder: Path


def properties(
    run: RunLike,
    structures: Frames | None = None,
    *,
    reference: str | Path | References | None = None,
    only: Sequence[str] = DEFAULT_PARTS,
    count: int = 5,
    force: float = 0.005,
    steps: int = 500,
    supercell: float = 10.0,
    most_atoms: int = 40,
    temperature: float = 300.0,
    dynamics_steps: int = 1000,
    device: str = "auto",
    listener: Listener | None = None,
) -> PropertiesResult:
    """Compare properties of the fine-tuned model of a run with those of its base, and with reference values.

    Every structure is relaxed by each model. Crystals have an equation of state, elastic constants and phonons, and on
    request energies of vacancies and a radial distribution function from molecular dynamics, beside that of the frames
    of the run; molecules have bond lengths and harmonic frequencies; surfaces have an energy. Energies of both models
    contain the reference energies that were fitted to the training frames. The tables are written to the folder of the
    run, and the report is rewritten.

    Parameters
    ----------
    run : str, Path or Run
        A finished run, or its folder.
    structures : files, globs, a packaged set, Atoms or labelled frames, optional
        Structures; labels are not read, and ``name`` in `info` is the name. By default, for each composition among the
        frames of the run, the frame of lowest energy per atom.
    reference : str, Path or mapping, optional
        Reference values: a JSON or CSV file, or a mapping of structure to property to value.
    only : sequence of str
        Some of ``eos``, ``elastic``, ``phonons``, ``vibrations``, ``vacancy`` and ``rdf``; by default, the first four.
    count : int
        Largest number of compositions, if no structures are given.
    force, steps : float, int
        Largest force (eV/Angstrom) and number of steps of the relaxations.
    supercell : float
        Smallest distance of opposite faces of the supercells of phonons, vacancies and molecular dynamics, Angstrom.
    most_atoms : int
        Largest primitive cell for which elastic constants, phonons and vacancies are computed.
    temperature, dynamics_steps : float, int
        Temperature (K) and number of steps of the molecular dynamics of ``rdf``.
    device : str
    listener : Listener, optional
        Receives the name of each structure as it begins.

    Raises
    ------
    EquisparseError
        If the folder holds no finished run, structures are missing or unknown to the base, or an option is invalid.
    MissingPackageError
        If phonons of a crystal are to be computed and phonopy is not installed.
    """
    listener = listener or Listener()
    check_positive(count=count, force=force, steps=steps, supercell=supercell, most_atoms=most_atoms)
    dynamics = DynamicsOptions(temperature, dynamics_steps)
    options = MeasureOptions(_checked_parts(only), RelaxOptions(force, steps), supercell, most_atoms, dynamics)
    opened = opened_run(run)
    named = _structures(opened, structures, count, listener)
    references = read_references(reference) if isinstance(reference, (str, Path)) else reference or {}
    _check_references(references, list(named))
    if "phonons" in options.parts and any(kind_of(atoms) == "crystal" for atoms in named.values()):
        check_phonopy()
    adapter = opened.adapter
    adapter.check_spin_free("computing properties with")
    backbone = configured_base(opened.config, device)
    check_adapter(backbone, adapter)
    check_structures(backbone, list(named.values()))
    results: dict[Model, dict[str, Measured]] = {}
    results[BASE] = _measured(BASE, named, AdaptedCalculator(backbone, adapter.shifts), options, listener)
    with adapter.applied(backbone.model):
        after = AdaptedCalculator(backbone, adapter.shifts)
        results[FINE_TUNED] = _measured(FINE_TUNED, named, after, options, listener)
    rows, states = _rows(results, references), _structure_rows(named, results)
    files = opened.files.properties
    files.values.write(rows)
    files.structures.write(states)
    _write_curves(files, results)
    files.radial.write(_radial_points(opened, results))
    _write_relaxed(files.relaxed, results)
    write_report(opened)
    return PropertiesResult(tuple(rows), tuple(states), files.path)


def _checked_parts(only: Sequence[str]) -> tuple[str, ...]:
    """The chosen properties; InputError if one is unknown."""
    for part in only:
        if part not in PARTS:
            near = nearest(part, PARTS)
            raise InputError(
                "There is no such property to choose.",
                given=part,
                expected=", ".join(PARTS),
                next_step=f"use {near}" if near else "",
            )
    return tuple(only)


def _check_references(references: References, names: list[str]) -> None:
    """Raise InputError unless structures of reference values are known, and names of properties end in a unit."""
    for structure, values in references.items():
        if structure not in names:
            near = nearest(structure, names)
            raise InputError(
                "There are reference values of an unknown structure.",
                given=structure,
                expected=", ".join(names),
                next_step=f"use {near}" if near else "use a name from the list",
            )
        for name in values:
            if not name.endswith(tuple(UNITS)):
                raise InputError(
                    "The name of a property does not end in a unit.",
                    given=name,
                    expected="a name from properties.csv, such as bulk_modulus_gpa, volume_ang3_per_atom or c11_gpa",
                )


def _structures(run: Run, structures: Frames | None, count: int, listener: Listener) -> dict[str, Atoms]:
    """Structures by name: those that are given, or one per composition among the frames of a run."""
    if structures is not None:
        return named_structures(load_structures(structures))
    splits = read_splits(run.config)
    typical = typical_structures([*splits.train, *splits.valid, *splits.test])
    if len(typical) > count:
        listener.notice("properties", f"the {count} most frequent of {len(typical)} compositions (--count)")
    return named_structures(typical[:count])


def _measured(
    model: Model, named: Mapping[str, Atoms], calculator: AdaptedCalculator, options: MeasureOptions, listener: Listener
) -> dict[str, Measured]:
    """Properties of all structures by one model."""
    results = {}
    for name, atoms in named.items():
        listener.notice("properties", f"{name} ({counted(len(atoms), 'atom')}), {model}")
        results[name] = measured(atoms, calculator, options)
    add_relations(results)
    return results


def _rows(results: _Results, references: References) -> list[PropertyRow]:
    """Values of both models and of the references, structure by structure."""
    rows: list[PropertyRow] = []
    for structure, base in results[BASE].items():
        before, after = base.values, results[FINE_TUNED][structure].values
        known = references.get(structure, {})
        names = dict.fromkeys([*after, *before, *known])
        rows += [PropertyRow(structure, name, before.get(name), after.get(name), known.get(name)) for name in names]
    return rows


def _structure_rows(named: Mapping[str, Atoms], results: _Results) -> list[StructureRow]:
    """Symmetry and notes of each structure with each model."""
    rows = []
    for structure, atoms in named.items():
        for model, of_model in results.items():
            found = of_model[structure]
            notes = "; ".join(found.notes)
            rows.append(StructureRow(structure, model, found.kind, len(atoms), found.symmetry, notes))
    return rows


def _write_curves(files: PropertiesFolder, results: _Results) -> None:
    """Write equations of state, elastic constants and phonon bands."""
    volumes: list[VolumePoint] = []
    elastic: list[ElasticRow] = []
    bands: list[BandPoint] = []
    for model, of_model in results.items():
        for structure, found in of_model.items():
            volumes += _volume_points(structure, model, found)
            elastic += _elastic_rows(structure, model, found)
            bands += _band_points(structure, model, found)
    files.volumes.write(volumes)
    files.elastic.write(elastic)
    files.bands.write(bands)


def _volume_points(structure: str, model: Model, found: Measured) -> Iterator[VolumePoint]:
    """Points of an equation of state, if there is one."""
    if found.volumes is not None:
        above = 1e3 * (found.volumes.energies - found.volumes.energies.min())
        for volume, energy in zip(found.volumes.volumes.tolist(), above.tolist(), strict=True):
            yield VolumePoint(structure, model, round(volume, 5), round(energy, 5))


def _elastic_rows(structure: str, model: Model, found: Measured) -> Iterator[ElasticRow]:
    """Elastic constants, if they were computed."""
    if found.elastic is not None:
        for i in range(6):
            for j in range(i, 6):
                yield ElasticRow(structure, model, i + 1, j + 1, round(float(found.elastic[i, j]), 3))


def _band_points(structure: str, model: Model, found: Measured) -> Iterator[BandPoint]:
    """Points of phonon bands, if they were computed."""
    if found.bands is not None:
        for branch, band in enumerate(found.bands.frequencies.T.tolist()):
            for x, label, value in zip(found.bands.x.tolist(), found.bands.labels, band, strict=True):
                yield BandPoint(structure, model, branch, round(x, 4), label, round(value, 4))


def _radial_points(run: Run, results: _Results) -> list[RadialPoint]:
    """Radial distribution functions of both models, and of the frames of the run with the same composition."""
    points: list[RadialPoint] = []
    for model, of_model in results.items():
        for structure, found in of_model.items():
            if found.radial is not None:
                points += _curve(structure, model, found.radial)
    computed = {point.structure for point in points}
    frames = _crystals(run) if points else {}
    for structure in sorted(computed):
        relaxed = results[FINE_TUNED][structure].relaxed or results[BASE][structure].relaxed
        if relaxed is not None and (same := frames.get(_composition(relaxed))):
            points += _curve(structure, "frames", radial_distribution(same))
    return points


def _curve(structure: str, source: Source, found: RadialDistribution) -> list[RadialPoint]:
    """Points of one radial distribution function."""
    pairs = zip(found.distances.tolist(), found.values.tolist(), strict=True)
    return [RadialPoint(structure, source, round(distance, 4), round(value, 4)) for distance, value in pairs]


def _crystals(run: Run) -> dict[str, list[Atoms]]:
    """Crystals and liquids among the frames of a run by their composition."""
    splits = read_splits(run.config)
    crystals: dict[str, list[Atoms]] = {}
    for frame in (*splits.train, *splits.valid, *splits.test):
        if kind_of(frame.atoms) == "crystal":
            crystals.setdefault(_composition(frame.atoms), []).append(frame.atoms)
    return crystals


def _composition(atoms: Atoms) -> str:
    """Composition without common factors."""
    return str(atoms.symbols.get_chemical_formula(empirical=True))


def _write_relaxed(path: Path, results: _Results) -> None:
    """Write the relaxed structures of both models, without labels; no file if nothing relaxes."""
    relaxed = []
    for model, of_model in results.items():
        for structure, found in of_model.items():
            if found.relaxed is not None:
                atoms = bare(found.relaxed)
                atoms.info = {"name": structure, "model": model}
                relaxed.append(atoms)
    path.unlink(missing_ok=True)
    if relaxed:
        write_unlabelled(path, relaxed)
