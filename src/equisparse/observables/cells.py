"""Primitive and conventional cells of a relaxed crystal in a standard orientation."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import spglib
from ase import Atoms

TOLERANCE = 0.02
"""Largest distance, Angstrom, of an atom from the image of an equivalent one in a relaxed crystal."""

System = Literal["triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic"]

_LAST_NUMBER: dict[int, System] = {
    2: "triclinic", 15: "monoclinic", 74: "orthorhombic", 142: "tetragonal", 167: "trigonal", 194: "hexagonal",
    230: "cubic",
}  # fmt: skip
"""Largest number of a space group of each crystal system."""
_LENGTHS: dict[System, str] = {
    "triclinic": "abc", "monoclinic": "abc", "orthorhombic": "abc", "tetragonal": "ac", "trigonal": "ac",
    "hexagonal": "ac", "cubic": "a",
}  # fmt: skip
"""Independent lengths of the conventional cell."""
_ANGLES: dict[System, tuple[str, ...]] = {"triclinic": ("alpha", "beta", "gamma"), "monoclinic": ("beta",)}
"""Angles of the conventional cell that symmetry leaves free."""


@dataclass(frozen=True)
class StandardCell:
    """A crystal in the standard setting of its space group.

    Parameters
    ----------
    primitive, conventional : Atoms
        Both in the same orientation, that of the conventional cell: a along x, b in the xy plane.
    number : int
        Number of the space group.
    symbol : str
        International symbol.
    """

    primitive: Atoms
    conventional: Atoms
    number: int
    symbol: str

    @property
    def system(self) -> System:
        """Crystal system."""
        return next(system for last, system in _LAST_NUMBER.items() if self.number <= last)

    def lattice(self) -> dict[str, float]:
        """Lengths (Angstrom) and angles (degrees) of the conventional cell that symmetry leaves free, by name."""
        lengths = dict(zip("abc", self.conventional.cell.lengths().tolist(), strict=True))
        angles = dict(zip(("alpha", "beta", "gamma"), self.conventional.cell.angles().tolist(), strict=True))
        free = {f"{name}_ang": lengths[name] for name in _LENGTHS[self.system]}
        return free | {f"{name}_deg": angles[name] for name in _ANGLES.get(self.system, ())}


def standard_cell(atoms: Atoms) -> StandardCell:
    """Find the symmetry of a crystal with spglib, and its standard cells with symmetrised positions.

    A structure in which spglib finds no symmetry keeps its cell, with space group P1.
    """
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    with _quiet_spglib():
        try:
            dataset = spglib.get_symmetry_dataset(cell, symprec=TOLERANCE)
            primitive = spglib.standardize_cell(cell, to_primitive=True, symprec=TOLERANCE)
            conventional = spglib.standardize_cell(cell, to_primitive=False, symprec=TOLERANCE)
        except spglib.SpglibError:
            dataset = primitive = conventional = None
    if dataset is None or primitive is None or conventional is None:
        return StandardCell(atoms, atoms, 1, "P1")
    return StandardCell(_atoms(primitive), _atoms(conventional), int(dataset.number), str(dataset.international))


def inequivalent_sites(atoms: Atoms) -> list[int]:
    """Indices of atoms, one of each set that the symmetry of a crystal makes equal; all atoms without symmetry."""
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    with _quiet_spglib():
        try:
            dataset = spglib.get_symmetry_dataset(cell, symprec=TOLERANCE)
        except spglib.SpglibError:
            dataset = None
    return list(range(len(atoms))) if dataset is None else np.unique(dataset.equivalent_atoms).tolist()


def multiples(atoms: Atoms, length: float) -> tuple[int, int, int]:
    """Numbers of cells along each direction after which opposite faces are at least `length` Angstrom apart."""
    heights = 1 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    a, b, c = np.ceil(length / heights - 1e-6).astype(int).tolist()
    return max(a, 1), max(b, 1), max(c, 1)


@contextmanager
def _quiet_spglib() -> Iterator[None]:
    """Leave out the warning of spglib about its own way to report errors within the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _atoms(cell: spglib.SpgCell) -> Atoms:
    """Structure of a cell of spglib."""
    lattice, positions, numbers = cell[0], cell[1], cell[2]
    return Atoms(numbers, scaled_positions=positions, cell=lattice, pbc=True)
