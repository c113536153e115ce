"""Cells of slabs and wires, for the neighbour lists of SevenNet and MACE.

Both replace the cell vector of every direction that is not periodic by a long one along a Cartesian axis: the first
vector along x, the second along y, the third along z.
"""

from itertools import permutations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

_REACH = 5.0
"""Factor in the length of the vectors that replace those of directions that are not periodic."""


def in_safe_order(atoms: Atoms) -> Atoms:
    """The same structure with its cell vectors in an order in which the replaced cell is not singular.

    A slab whose periodic vectors lie in the plane of x and y has a singular cell if its first vector, which is not
    periodic, is replaced by one along x: both upstreams then raise ``Singular matrix``. The order of the cell vectors
    changes neither energy nor forces nor stress.

    Parameters
    ----------
    atoms : Atoms
        It is not modified; it is returned as it is if its order is the best one.
    """
    if atoms.pbc.all() or not atoms.pbc.any():
        return atoms
    orders = [list(order) for order in permutations(range(3))]
    order = max(orders, key=lambda rows: round(_openness(atoms.cell.array[rows], atoms.pbc[rows]), 6))
    if order == orders[0]:
        return atoms
    same: Atoms = atoms.copy()
    same.set_cell(atoms.cell.array[order])
    same.pbc = atoms.pbc[order]
    return same


def replaced_volume(atoms: Atoms, cutoff: float) -> float:
    """Volume of the cell after the replacement of vectors, Angstrom^3.

    Parameters
    ----------
    atoms : Atoms
    cutoff : float
        Cutoff of the model, Angstrom.
    """
    length = (np.abs(atoms.positions).max() + 1) * _REACH * cutoff
    return float(abs(np.linalg.det(_replaced(atoms.cell.array, atoms.pbc, length))))


def _openness(cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> float:
    """Volume of the replaced cell with all vectors scaled to length one: 1 if they are orthogonal, 0 if singular."""
    vectors = _replaced(cell, pbc, 1.0)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return float(abs(np.linalg.det(vectors / np.maximum(lengths, 1e-12))))


def _replaced(cell: NDArray[np.float64], pbc: NDArray[np.bool_], length: float) -> NDArray[np.float64]:
    """Cell whose vectors of directions that are not periodic lie along Cartesian axes, shape (3, 3)."""
    return np.where(pbc[:, np.newaxis], cell, length * np.eye(3))
