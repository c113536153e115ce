"""One labelled structure: the unit that reading gives and that audit, split and training take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from equisparse.quantities import ENERGY, FORCES, MOMENTS, SMALLEST_VOLUME, STRESS, Quantity

Floats = NDArray[np.float64]
"""Array of float64."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFrame:
    """A structure with its labels.

    Parameters
    ----------
    atoms : Atoms
        Clean copy: no calculator, no constraints, no label that was read; other `info` and `arrays` are kept. Input
        spins are its initial magnetic moments.
    labels : mapping of Quantity to array
        Labels in the unit and shape of their quantity, float64; a quantity without a label is absent. Forces are as
        computed: never set to zero by constraints.
    source : str
        File the frame came from, as given, or a name for messages.
    index : int
        Index of the frame in that file, from 0.
    fixed : array of bool, shape (n_atoms,), optional
        Atoms that a constraint held, wholly or in some direction; none if not given.
    names : mapping of str to str, optional
        Name of a quantity, or ``spins`` -> name under which the file stores the label.
    weights : mapping of Quantity to float, optional
        Weights in the loss that are not 1. A label with weight 0 is absent from `labels`.
    """

    atoms: Atoms
    labels: Mapping[Quantity, Floats] = field(default_factory=dict)
    source: str = "memory"
    index: int = 0
    fixed: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    names: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[Quantity, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.fixed) != len(self.atoms):
            object.__setattr__(self, "fixed", np.zeros(len(self.atoms), dtype=np.bool_))

    @property
    def energy(self) -> float | None:
        """Total energy, eV; None without a label."""
        energy = self.labels.get(ENERGY)
        return None if energy is None else float(energy)

    @property
    def forces(self) -> Floats | None:
        """Forces, shape (n_atoms, 3), eV/Angstrom; None without a label."""
        return self.labels.get(FORCES)

    @property
    def stress(self) -> Floats | None:
        """Stress, shape (3, 3), eV/Angstrom^3, positive under tension (ASE); None without a label."""
        return self.labels.get(STRESS)

    @property
    def moments(self) -> Floats | None:
        """Magnetic moments, shape (n_atoms, 3), muB; None without a label."""
        return self.labels.get(MOMENTS)

    def with_labels(self, changes: Mapping[Quantity, Floats | float | None]) -> "LabelledFrame":
        """The same frame with some labels replaced, or removed where the new one is None."""
        merged = {**self.labels, **changes}
        return replace(
            self, labels={q: np.asarray(value, dtype=np.float64) for q, value in merged.items() if value is not None}
        )

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.atoms)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Atomic numbers, shape (n_atoms,)."""
        return np.asarray(self.atoms.numbers, dtype=np.int64)

    @property
    def positions(self) -> Floats:
        """Positions, shape (n_atoms, 3), Angstrom."""
        return np.asarray(self.atoms.positions, dtype=np.float64)

    @property
    def cell(self) -> Floats:
        """Lattice vectors as rows, shape (3, 3), Angstrom."""
        return np.asarray(self.atoms.cell.array, dtype=np.float64)

    @property
    def pbc(self) -> NDArray[np.bool_]:
        """Which directions repeat, shape (3,)."""
        return np.asarray(self.atoms.pbc, dtype=np.bool_)

    @property
    def spins(self) -> Floats | None:
        """Input spins as stored, shape (n_atoms,) or (n_atoms, 3), muB; None if there are none."""
        return self.atoms.arrays.get("initial_magmoms")

    @property
    def formula(self) -> str:
        """Chemical formula, such as ``Mg4O4``."""
        return str(self.atoms.symbols.get_chemical_formula())


def has_stress(atoms: Atoms) -> bool:
    """Return whether a structure has a stress: its cell has a volume, and at least one direction is periodic.

    The stress is the derivative of the energy by strain over the volume of the cell, as in ASE and VASP. The stress of
    a slab or a wire is therefore inversely proportional to the length of the vacuum, which is arbitrary: compare it
    only between models that see the same cell. The same rule holds for labels, losses, errors, replay, drift and
    calculators.
    """
    return bool(atoms.pbc.any() and atoms.cell.volume > SMALLEST_VOLUME)


def unlabelled(structures: Sequence[Atoms], source: str) -> list[LabelledFrame]:
    """Structures without labels; `source` is their name in messages."""
    return [LabelledFrame(atoms, {}, source, index) for index, atoms in enumerate(structures)]
