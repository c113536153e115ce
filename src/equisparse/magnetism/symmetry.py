"""Which renumberings of the atoms of a structure its symmetry makes: enough to tell equivalent magnetic orders."""

import itertools
from collections.abc import Iterator

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from equisparse.data.frames import Floats

Integers = NDArray[np.int64]

TOLERANCE = 1e-3
"""Largest distance, Angstrom, of an atom from where a symmetry puts it."""


def symmetry_permutations(atoms: Atoms, *, rotations: bool = True) -> Integers:
    """Permutations of the atoms by the symmetry operations of a periodic structure.

    Rotations are searched among matrices of -1, 0 and 1 in the basis of the cell vectors, which is all of them for
    cells as one builds them; of a very skew cell some may be missed.

    Parameters
    ----------
    atoms : Atoms
        Periodic in all directions; others have the identity alone.
    rotations : bool
        Whether rotations and reflections count, or translations alone.

    Returns
    -------
    array, shape (n_permutations, n_atoms)
        ``numbers[p[i]]`` is where operation p takes atom i; the identity is there.
    """
    identity = np.arange(len(atoms), dtype=np.int64)
    if not atoms.pbc.all():
        return identity[None]
    found = {identity.tobytes(): identity}
    for matrix in _lattice_rotations(atoms.cell.array) if rotations else [np.eye(3)]:
        for permutation in _permutations(atoms, matrix):
            found[permutation.tobytes()] = permutation
    return np.stack(list(found.values()))


def _lattice_rotations(cell: Floats) -> list[Floats]:
    """Matrices in the basis of the cell vectors that keep all lengths and angles of the lattice."""
    candidates = np.array(list(itertools.product((-1, 0, 1), repeat=9)), dtype=np.float64).reshape(-1, 3, 3)
    metric = cell @ cell.T
    kept = np.abs(candidates @ metric @ candidates.transpose(0, 2, 1) - metric).max(axis=(1, 2))
    return list(candidates[kept < 2 * TOLERANCE * np.sqrt(metric.max())])


def _permutations(atoms: Atoms, matrix: Floats) -> Iterator[Integers]:
    """Permutations of the operations with one rotation, which take an atom of the rarest element to each such atom."""
    places, numbers = atoms.get_scaled_positions(wrap=True), atoms.numbers
    rarest = min(set(numbers.tolist()), key=numbers.tolist().count)
    alike = np.flatnonzero(numbers == rarest)
    turned = places @ matrix
    for other in alike:
        permutation = _matches(atoms, turned + places[other] - turned[alike[0]])
        if permutation is not None:
            yield permutation


def _matches(atoms: Atoms, moved: Floats) -> Integers | None:
    """Which atom lies where each moved one is; None if one finds none of its element."""
    places, numbers = atoms.get_scaled_positions(wrap=True), atoms.numbers
    apart = moved[:, None] - places[None]
    distance = np.linalg.norm((apart - np.round(apart)) @ atoms.cell.array, axis=2)
    distance[numbers[:, None] != numbers[None]] = np.inf
    nearest = distance.argmin(axis=1).astype(np.int64)
    fits = distance[np.arange(len(atoms)), nearest].max() < TOLERANCE and len(set(nearest.tolist())) == len(atoms)
    return nearest if fits else None
