"""One labelled structure: the unit that reading gives and that audit, split and training take."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

Floats = NDArray[np.float64]
"""Array of float64."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFrame:
    """A structure with what is known about it.

    Parameters
    ----------
    atoms : Atoms
        Clean copy: no calculator, no constraints, no label that was read; other `info` and `arrays` are kept.
    energy : float or None
        Total energy, eV.
    forces : array, shape (n_atoms, 3), or None
        eV/Angstrom, as computed: never set to zero by constraints.
    stress : array, shape (3, 3), or None
        eV/Angstrom^3, positive under tension (ASE).
    source : str
        File the frame came from, as given.
    index : int
        Number of the frame in that file, from 0.
    fixed : array of bool, shape (n_atoms,)
        Atoms that a constraint held, wholly or in some direction.
    moments : array, shape (n_atoms, 3), or None
        Magnetic moments, muB. Input spins are the initial magnetic moments of `atoms`.
    magnetic_forces : array, shape (n_atoms, 3), or None
        Minus the derivative of the energy by the input spins, eV/muB.
    """

    atoms: Atoms
    energy: float | None
    forces: Floats | None
    stress: Floats | None
    source: str
    index: int
    fixed: NDArray[np.bool_]
    moments: Floats | None = None
    magnetic_forces: Floats | None = None

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

    @property
    def where(self) -> str:
        """File and frame number, for messages."""
        return f"{self.source} frame {self.index}"


def unlabelled(structures: Sequence[Atoms], source: str) -> list[LabelledFrame]:
    """Structures that nothing is known about; `source` is their name in messages."""
    return [
        LabelledFrame(atoms, None, None, None, source, index, np.zeros(len(atoms), dtype=np.bool_))
        for index, atoms in enumerate(structures)
    ]
