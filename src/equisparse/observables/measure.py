"""All properties of one structure by one model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ase import Atoms
from ase.calculators.calculator import Calculator

from equisparse.data.frames import Floats
from equisparse.observables import phonons as lattice_vibrations
from equisparse.observables import vibrations
from equisparse.observables.cells import StandardCell, standard_cell
from equisparse.observables.elastic import elastic_constants, elastic_values, is_stable
from equisparse.observables.equation_of_state import Volumes, equation_of_state
from equisparse.observables.kind import Kind, kind_of
from equisparse.observables.phonons import Bands, phonons
from equisparse.observables.radial import RadialDistribution, thermal_distribution
from equisparse.observables.relaxation import Free, NotRelaxedError, RelaxOptions, relaxed
from equisparse.observables.rows import FREQUENCY
from equisparse.observables.vacancies import removal_energies
from equisparse.robustness.dynamics import DynamicsOptions
from equisparse.wording import counted

DEFAULT_PARTS = ("eos", "elastic", "phonons", "vibrations")
"""Properties that are computed by default; the first three are those of crystals, the last is that of molecules."""
PARTS = (*DEFAULT_PARTS, "vacancy", "rdf")
"""Properties that can be chosen."""


_COSTLY = {"elastic": "elastic constants", "phonons": "phonons", "vacancy": "energies of vacancies"}
"""Properties whose cost grows with the square of the number of atoms -> their names."""


@dataclass(frozen=True)
class MeasureOptions:
    """Choice of properties, and convergence.

    Parameters
    ----------
    parts : sequence of str
        Some of `PARTS`.
    relax : RelaxOptions
        For the first relaxation.
    supercell : float
        Smallest distance of opposite faces of supercells, Angstrom.
    most_atoms : int
        Largest primitive cell for which elastic constants, phonons and vacancies are computed.
    dynamics : DynamicsOptions
        Molecular dynamics from which the radial distribution function is taken.
    """

    parts: Sequence[str] = DEFAULT_PARTS
    relax: RelaxOptions = field(default_factory=RelaxOptions)
    supercell: float = 10.0
    most_atoms: int = 40
    dynamics: DynamicsOptions = field(default_factory=lambda: DynamicsOptions(steps=1000))

    @property
    def tight(self) -> RelaxOptions:
        """Convergence of the cell from which properties are computed, and of strained cells."""
        return RelaxOptions(self.relax.force / 5, self.relax.steps)


@dataclass
class Measured:
    """Properties of one structure by one model.

    Parameters
    ----------
    kind : {"crystal", "molecule", "surface", "atom"}
    symmetry : str
        Space group of a relaxed crystal; else empty.
    notes : list of str
        What could not be computed and why, and signs of instability.
    values : dict of str to float
        Value of each property by its name, which ends in the unit.
    relaxed : Atoms or None
        Relaxed structure, for a crystal the primitive cell; None if it does not relax.
    removed : dict of str to float
        Energy to remove one atom of an element from a supercell, without its chemical potential, eV.
    volumes, elastic, bands, radial
        Equation of state, elastic constants in GPa, phonon bands, and radial distribution function; None if they were
        not computed.
    """

    kind: Kind
    symmetry: str = ""
    notes: list[str] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    relaxed: Atoms | None = None
    removed: dict[str, float] = field(default_factory=dict)
    volumes: Volumes | None = None
    elastic: Floats | None = None
    bands: Bands | None = None
    radial: RadialDistribution | None = None


def measured(atoms: Atoms, calculator: Calculator, options: MeasureOptions) -> Measured:
    """Relax a structure, and compute the properties that its kind has.

    Parameters
    ----------
    atoms : Atoms
        Initial structure; it is not changed.
    calculator : Calculator
    options : MeasureOptions

    Raises
    ------
    MissingPackageError
        If phonons are computed and phonopy is not installed.
    """
    result = Measured(kind_of(atoms))
    if result.kind == "atom":
        result.notes.append("a single atom has no properties to compare")
        return result
    try:
        compute = {"crystal": _crystal, "molecule": _molecule, "surface": _surface}[result.kind]
        compute(result, atoms, calculator, options)
    except NotRelaxedError as error:
        result.notes.append(f"not relaxed: {error}")
    return result


def _crystal(result: Measured, atoms: Atoms, calculator: Calculator, options: MeasureOptions) -> None:
    """Cell, equation of state, elastic constants and phonons."""
    cell = _relaxed_crystal(atoms, calculator, options)
    primitive = cell.primitive
    result.relaxed, result.symmetry = primitive, f"{cell.symbol} ({cell.number})"
    primitive.calc = calculator
    result.values["energy_ev_per_atom"] = float(primitive.get_potential_energy()) / len(primitive)
    result.values["volume_ang3_per_atom"] = float(primitive.get_volume()) / len(primitive)
    result.values |= cell.lattice()
    if "eos" in options.parts:
        _attempt(result, "equation of state", lambda: _equation_of_state(result, cell, calculator, options))
    if "rdf" in options.parts:
        _attempt(result, "radial distribution function", lambda: _radial(result, primitive, calculator, options))
    chosen = [part for part in _COSTLY if part in options.parts]
    if chosen and len(primitive) > options.most_atoms:
        names = " and ".join(_COSTLY[part] for part in chosen)
        size = f"{counted(len(primitive), 'atom')}, more than the {options.most_atoms} of --most-atoms"
        result.notes.append(f"no {names}: the primitive cell has {size}")
        return
    if "elastic" in chosen:
        _attempt(result, "elastic constants", lambda: _elastic(result, cell, calculator, options))
    if "phonons" in chosen:
        _phonons(result, cell, calculator, options)
    if "vacancy" in chosen:
        _attempt(result, "energies of vacancies", lambda: _vacancies(result, primitive, calculator, options))


def _relaxed_crystal(atoms: Atoms, calculator: Calculator, options: MeasureOptions) -> StandardCell:
    """Standard cell of a relaxed crystal: relaxed as given, reduced by its symmetry, and relaxed tightly."""
    free: Free = "atoms and cell"
    first = standard_cell(relaxed(atoms, calculator, free, options.relax))
    return standard_cell(relaxed(first.primitive, calculator, free, options.tight))


def _attempt(result: Measured, name: str, compute: Callable[[], None]) -> None:
    """Compute a property, or note why it has no value."""
    try:
        compute()
    except NotRelaxedError as error:
        result.notes.append(f"no {name}: {error}")


def _equation_of_state(result: Measured, cell: StandardCell, calculator: Calculator, options: MeasureOptions) -> None:
    """Bulk modulus and the points that it is fitted to."""
    result.volumes = equation_of_state(cell.primitive, calculator, options.tight)
    result.values["bulk_modulus_gpa"] = result.volumes.bulk_modulus


def _elastic(result: Measured, cell: StandardCell, calculator: Calculator, options: MeasureOptions) -> None:
    """Elastic constants."""
    result.elastic = elastic_constants(cell.primitive, calculator, options.tight)
    result.values |= elastic_values(result.elastic, cell.system)
    if not is_stable(result.elastic):
        result.notes.append("elastically unstable: a strain lowers the energy")


def _phonons(result: Measured, cell: StandardCell, calculator: Calculator, options: MeasureOptions) -> None:
    """Phonons."""
    found = phonons(cell, calculator, options.supercell)
    result.bands = found.bands
    lowest = min(found.lowest, float(found.bands.frequencies.min()))
    result.values |= {
        "highest_phonon_thz": found.highest,
        "lowest_phonon_thz": round(lowest, 4) + 0.0,  # the acoustic bands are zero but for noise
        "zero_point_energy_mev_per_atom": found.zero_point_energy,
        "heat_capacity_at_300_K_j_per_k_per_mol": found.heat_capacity,
    }
    if lowest < lattice_vibrations.IMAGINARY:
        result.notes.append(f"dynamically unstable: phonons with imaginary frequencies, down to {lowest:.3g} THz")


def _vacancies(result: Measured, primitive: Atoms, calculator: Calculator, options: MeasureOptions) -> None:
    """Energies to remove an atom; `equisparse.observables.relations` adds the chemical potentials."""
    result.removed = removal_energies(primitive, calculator, options.supercell, options.relax)


def _radial(result: Measured, primitive: Atoms, calculator: Calculator, options: MeasureOptions) -> None:
    """Radial distribution function at a temperature."""
    result.radial = thermal_distribution(primitive, calculator, options.supercell, options.dynamics)
    if (peak := result.radial.first_peak) is not None:
        result.values["rdf_first_peak_ang"] = peak


def _molecule(result: Measured, atoms: Atoms, calculator: Calculator, options: MeasureOptions) -> None:
    """Bond lengths and vibrations."""
    result.relaxed = relaxed(atoms, calculator, "atoms", options.tight)
    result.values["energy_ev_per_atom"] = float(result.relaxed.get_potential_energy()) / len(atoms)
    result.values |= vibrations.bond_lengths(result.relaxed)
    if "vibrations" not in options.parts:
        return
    modes = vibrations.frequencies(result.relaxed)
    result.values["zero_point_energy_mev"] = vibrations.zero_point_energy(modes)
    result.values |= {f"{FREQUENCY}{place}_per_cm": float(mode) for place, mode in enumerate(modes, 1)}
    if modes.min() < vibrations.IMAGINARY:
        result.notes.append(f"no minimum: imaginary frequencies, down to {modes.min():.0f} 1/cm")


def _surface(result: Measured, atoms: Atoms, calculator: Calculator, options: MeasureOptions) -> None:
    """Energy of a slab, a wire or molecules in a box, at the given cell."""
    result.relaxed = relaxed(atoms, calculator, "atoms", options.relax)
    result.values["energy_ev_per_atom"] = float(result.relaxed.get_potential_energy()) / len(atoms)
    result.notes.append("not a crystal: its cell has an empty layer or an open direction; relaxed at its cell")
