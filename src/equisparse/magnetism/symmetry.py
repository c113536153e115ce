"""Permutations of atoms by crystal symmetry: enough to tell which magnetic orders of a structure are equivalent."""

import warnings

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import NDArray

from equisparse.data.frames import Floats

Integers = NDArray[np.int64]

TOLERANCE = 1e-3
"""Largest distance, Angstrom, between an atom and the image of an equivalent one."""


def symmetry_permutations(atoms: Atoms, *, rotations: bool = True) -> Integers:
    """Permutations of the atoms by the symmetry operations of a periodic structure, without duplicates.

    The operations come from spglib (Togo et al., Sci. Technol. Adv. Mater. Methods 4, 2384822, 2024). Spins and
    magnetic moments of `atoms` are ignored.

    Parameters
    ----------
    atoms : Atoms
        Periodic in all directions; any other structure has the identity only.
    rotations : bool
        Whether rotations and reflections are included, or only translations.

    Returns
    -------
    array, shape (n_permutations, n_atoms)
        Operation p moves atom i to the position of atom ``p[i]``; the identity is one of them.
    """
    identity = np.arange(len(atoms), dtype=np.int64)
    permutations = {identity.tobytes(): identity}
    for rotation, translation in _operations(atoms):
        if rotations or np.array_equal(rotation, np.eye(3)):
            permutation = _permutation(atoms, rotation, translation)
            permutations[permutation.tobytes()] = permutation
    return np.stack(list(permutations.values()))


def _operations(atoms: Atoms) -> list[tuple[Integers, Floats]]:
    """Rotations and translations in fractional coordinates; none if spglib finds none, as for coinciding atoms."""
    if not atoms.pbc.all():
        return []
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its own way to report errors
        try:
            symmetry = spglib.get_symmetry(cell, symprec=TOLERANCE)
        except spglib.SpglibError:
            return []
    return [] if symmetry is None else list(zip(symmetry["rotations"], symmetry["translations"], strict=True))


def _permutation(atoms: Atoms, rotation: Integers, translation: Floats) -> Integers:
    """Atom of the same element that is nearest to the image of each atom."""
    positions, numbers = atoms.get_scaled_positions(), atoms.numbers
    images = positions @ rotation.T + translation
    difference = images[:, None] - positions[None]
    distance = np.linalg.norm((difference - np.round(difference)) @ atoms.cell.array, axis=2)
    distance[numbers[:, None] != numbers[None]] = np.inf
    nearest: Integers = distance.argmin(axis=1).astype(np.int64)
    return nearest
