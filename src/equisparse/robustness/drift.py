"""Drift: how far a model moved from its base on structures outside of its training data.

Energies are compared without the shifts of the reference energies, which are stored outside of the model. The distance
of a structure from the training data is the fraction of its atoms whose element is not in the data. A fingerprint of
the geometry would not do: it cannot be compared across compositions, and elements decide which weights were trained.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from equisparse.data.frames import Floats
from equisparse.inference.dataset import by_frame
from equisparse.quantities import ENERGY, FORCES, STRESS, Quantity
from equisparse.wording import counted

QUANTITIES = ("energy_mev_per_atom", "force_mev_per_ang", "stress_gpa")
"""Names of the drifts of one structure, fields of `DriftRow`."""

DISTANCES = ("all elements in the data", "some elements in the data", "no element in the data")
"""Distance from the training data in words: a fraction of foreign atoms of 0, between 0 and 1, and 1."""


@dataclass(frozen=True)
class DriftRow:
    """Drift on one structure.

    Parameters
    ----------
    name, kind : str
    foreign : float
        Fraction of the atoms whose element is not in the training data.
    energy_mev_per_atom : float
        Absolute difference of the energies.
    force_mev_per_ang : float
        Mean absolute difference over force components.
    stress_gpa : float or None
        Mean absolute difference over components; None for a molecule.
    """

    name: str
    kind: str
    foreign: float
    energy_mev_per_atom: float
    force_mev_per_ang: float
    stress_gpa: float | None


@dataclass(frozen=True)
class ElementDrift:
    """Drift over the structures that hold an element.

    Parameters
    ----------
    element : str
    in_data : bool
        Whether the training data hold it.
    n_structures : int
    energy_mev_per_atom : float
        Median over these structures.
    force_mev_per_ang : float
        Mean absolute difference over force components on atoms of this element.
    """

    element: str
    in_data: bool
    n_structures: int
    energy_mev_per_atom: float
    force_mev_per_ang: float


@dataclass(frozen=True)
class DriftSummary:
    """Drift over a group of structures; None where no structure has the quantity.

    Parameters
    ----------
    group : str
        What the structures have in common; ``all`` for all of them.
    n_structures : int
    energy_mev_per_atom_median, energy_mev_per_atom_p90, energy_mev_per_atom_max : float or None
        Median, 90th percentile and largest value of `DriftRow.energy_mev_per_atom`.
    force_mev_per_ang_median, force_mev_per_ang_p90, force_mev_per_ang_max : float or None
    stress_gpa_median, stress_gpa_p90, stress_gpa_max : float or None
    """

    group: str
    n_structures: int
    energy_mev_per_atom_median: float | None
    energy_mev_per_atom_p90: float | None
    energy_mev_per_atom_max: float | None
    force_mev_per_ang_median: float | None
    force_mev_per_ang_p90: float | None
    force_mev_per_ang_max: float | None
    stress_gpa_median: float | None
    stress_gpa_p90: float | None
    stress_gpa_max: float | None

    def values(self) -> dict[str, int | float | None]:
        """All numbers by name."""
        return {name: value for name, value in asdict(self).items() if name != "group"}


def drift_rows(
    structures: Sequence[Atoms],
    base: Mapping[Quantity, Floats],
    adapted: Mapping[Quantity, Floats],
    elements: Collection[int],
) -> list[DriftRow]:
    """Drift of each structure.

    Parameters
    ----------
    structures : sequence of Atoms
        With ``name`` and ``kind`` in `info`.
    base, adapted : mapping of Quantity to array
        Predictions for these structures, see `equisparse.inference.predict.predict_structures`.
    elements : collection of int
        Atomic numbers in the training data.
    """
    moved = {quantity: np.abs(adapted[quantity] - base[quantity]) for quantity in base}
    n_atoms = np.array([len(atoms) for atoms in structures], dtype=np.int64)
    return [
        DriftRow(
            name=str(atoms.info["name"]),
            kind=str(atoms.info["kind"]),
            foreign=float(np.mean([z not in elements for z in atoms.numbers.tolist()])),
            energy_mev_per_atom=ENERGY.mae.factor * float(change[ENERGY]) / len(atoms),
            force_mev_per_ang=FORCES.mae.factor * float(change[FORCES].mean()),
            stress_gpa=_stress(change[STRESS]),
        )
        for atoms, change in zip(structures, by_frame(moved, n_atoms), strict=True)
    ]


def element_drifts(
    structures: Sequence[Atoms],
    base: Mapping[Quantity, Floats],
    adapted: Mapping[Quantity, Floats],
    elements: Collection[int],
) -> list[ElementDrift]:
    """Drift of each element, in the order of atomic numbers; parameters as of `drift_rows`."""
    if not structures:
        return []
    numbers = np.concatenate([atoms.numbers for atoms in structures])
    force = FORCES.mae.factor * np.abs(adapted[FORCES] - base[FORCES]).mean(axis=1)
    size = np.array([len(atoms) for atoms in structures])
    energy = ENERGY.mae.factor * np.abs(adapted[ENERGY] - base[ENERGY]) / size
    owner = np.repeat(np.arange(len(size)), size)
    rows = []
    for z in np.unique(numbers).tolist():
        holding = np.unique(owner[numbers == z])
        median, mean = float(np.median(energy[holding])), float(force[numbers == z].mean())
        rows.append(ElementDrift(chemical_symbols[z], z in elements, len(holding), median, mean))
    return rows


def summary(rows: Sequence[DriftRow], group: str = "all") -> DriftSummary:
    """Summarise the drift of some structures.

    Parameters
    ----------
    rows : sequence of DriftRow
    group : str
        What they have in common.
    """
    values: dict[str, float | None] = {}
    for name in QUANTITIES:
        known = [value for row in rows if (value := getattr(row, name)) is not None]
        for title, fraction in (("median", 0.5), ("p90", 0.9), ("max", 1.0)):
            values[f"{name}_{title}"] = float(f"{np.quantile(known, fraction):.4g}") if known else None
    return DriftSummary(group, len(rows), **values)


def grouped(rows: Sequence[DriftRow]) -> list[DriftSummary]:
    """Summarise all structures, those of each kind, and those at each distance from the training data that occurs."""
    groups: dict[str, list[DriftRow]] = {"all": list(rows)}
    for kind in dict.fromkeys(row.kind for row in rows):
        groups[f"{kind}s"] = [row for row in rows if row.kind == kind]
    for distance in DISTANCES:
        if members := [row for row in rows if _distance(row) == distance]:
            groups[distance] = members
    return [summary(members, group) for group, members in groups.items()]


def drift_line(drift: DriftSummary) -> str:
    """A summary in one line: medians, and 90th percentiles in brackets."""
    if not drift.n_structures:
        return "not measured: the base covers all elements of no probe structure"
    energy = _with_tail(drift.energy_mev_per_atom_median, drift.energy_mev_per_atom_p90, "meV/atom")
    force = _with_tail(drift.force_mev_per_ang_median, drift.force_mev_per_ang_p90, "meV/Angstrom")
    return (
        f"median drift from the base on {counted(drift.n_structures, 'probe structure')} (90th percentile): "
        f"energy {energy}, force {force}"
    )


def _with_tail(median: float | None, tail: float | None, unit: str) -> str:
    """Such as ``1.87 (5.86) meV/atom``."""
    return "not known" if median is None else f"{median:.3g} ({tail:.3g}) {unit}"


def _distance(row: DriftRow) -> str:
    """Distance from the training data in words."""
    return DISTANCES[0 if row.foreign == 0 else 2 if row.foreign == 1 else 1]


def _stress(change: Floats) -> float | None:
    """Mean of absolute differences in GPa; None where there is no stress."""
    value = STRESS.mae.factor * float(change.mean())
    return value if np.isfinite(value) else None
