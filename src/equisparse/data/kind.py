"""Kind of a data set, as far as the best learning rate depends on it."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list

from equisparse.data.frames import LabelledFrame

_BOND = 1.3
"""Longest bond as a multiple of the sum of the covalent radii."""
_EMPTY = 50.0
"""Volume per atom, Angstrom^3, above which a periodic cell is a box around a molecule; crystals have 10 to 20."""


def is_one_molecule(frames: Sequence[LabelledFrame]) -> bool:
    """Return whether all frames have one composition, and are single molecules, with or without a box around them.

    Bonds are looked for in the first frame only.
    """
    if not frames or len(frames[0].numbers) < 2:
        return False
    first = np.sort(frames[0].numbers)
    for frame in frames:
        atoms = frame.atoms
        if not np.array_equal(np.sort(frame.numbers), first):
            return False
        if atoms.pbc.any() and not (atoms.pbc.all() and atoms.get_volume() > _EMPTY * len(atoms)):
            return False
    return is_bonded_once(frames[0].atoms)


def is_bonded_once(atoms: Atoms) -> bool:
    """Return whether bonds connect all atoms of a structure to one another, but not to their own periodic images."""
    bonds: dict[int, list[tuple[int, tuple[int, ...]]]] = defaultdict(list)
    for i, j, shift in zip(*neighbor_list("ijS", atoms, natural_cutoffs(atoms, mult=_BOND)), strict=True):
        bonds[int(i)].append((int(j), tuple(int(n) for n in shift)))
    cell_of, waiting = {0: (0, 0, 0)}, [0]
    while waiting:
        atom = waiting.pop()
        for neighbour, shift in bonds[atom]:
            x, y, z = (a + b for a, b in zip(cell_of[atom], shift, strict=True))
            if neighbour not in cell_of:
                cell_of[neighbour] = (x, y, z)
                waiting.append(neighbour)
            elif cell_of[neighbour] != (x, y, z):
                return False
    return len(cell_of) == len(atoms)
