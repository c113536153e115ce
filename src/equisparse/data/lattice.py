"""Periodic directions without a lattice vector, for which no model can find the neighbours."""

import numpy as np
from ase import Atoms

from equisparse.errors import DataError
from equisparse.quantities import SMALLEST_VOLUME

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
