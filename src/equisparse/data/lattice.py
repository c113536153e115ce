"""Images of a cell: how many lie near it, and periodic directions without a vector, for which there are none."""

import numpy as np
from ase import Atoms

from equisparse.data.frames import Floats
from equisparse.errors import DataError
from equisparse.quantities import SMALLEST_VOLUME

_FLAT_CELL = 1e-6
_SHORTEST_VECTOR = 1e-3
"""Shorter cell vectors, Angstrom, are none."""


def lacks_lattice(atoms: Atoms) -> bool:
    """Return whether a periodic direction has no cell vector, or the completed cell no volume: images coincide."""
    short = np.linalg.norm(atoms.cell.array, axis=1) < _SHORTEST_VECTOR
    volume = abs(np.linalg.det(atoms.cell.complete().array))
    return bool(atoms.pbc.any() and ((atoms.pbc & short).any() or volume < SMALLEST_VOLUME))


def check_lattice(atoms: Atoms, name: str) -> None:
    """Raise DataError if a structure is periodic in a direction without a cell vector, or its cell has no volume.

    Parameters
    ----------
    atoms : Atoms
    name : str
        Name of the structure in the message.
    """
    if lacks_lattice(atoms):
        directions = " ".join("T" if periodic else "F" for periodic in atoms.pbc)
        lengths = ", ".join(f"{length:g}" for length in atoms.cell.lengths())
        raise DataError(
            "A structure is periodic, but its cell has no volume or no vector in a periodic direction.",
            given=f"{name}: pbc {directions}, cell vectors of length {lengths} Angstrom",
            expected="independent cell vectors for all periodic directions",
            cause="a file without a cell, or atoms.pbc set without a cell",
            next_step='write the cell into the file (Lattice="..." in extxyz), or set pbc to F F F for a molecule',
        )


def image_steps(atoms: Atoms, distance: float) -> Floats:
    """Number of images of the cell on each side within a distance (Angstrom), shape (3,); 0 where not periodic.

    All are 0 if the cell has no volume.
    """
    cell = atoms.cell.complete().array
    periodic = atoms.pbc & (np.linalg.norm(atoms.cell.array, axis=1) > _FLAT_CELL)
    if not periodic.any() or abs(np.linalg.det(cell)) < _FLAT_CELL:
        return np.zeros(3)
    return np.asarray(np.ceil(distance * np.linalg.norm(np.linalg.inv(cell), axis=0)) * periodic)
