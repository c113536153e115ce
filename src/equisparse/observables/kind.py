"""Kind of a structure, which decides which properties it has."""

from typing import Literal

import numpy as np
from ase import Atoms

from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.kind import is_one_molecule

Kind = Literal["crystal", "molecule", "surface", "atom"]

VACUUM = 8.0
"""Thickness of an empty layer, Angstrom, from which on a cell is not a crystal; layered crystals have 3 to 7."""


def kind_of(atoms: Atoms) -> Kind:
    """Kind of a structure.

    Parameters
    ----------
    atoms : Atoms

    Returns
    -------
    {"crystal", "molecule", "surface", "atom"}
        A structure without periodic directions is a molecule, like a single molecule in a box. A structure with some
        periodic directions, or with an empty layer in its cell, is a surface; that includes wires and several molecules
        in a large box.
    """
    if is_one_molecule([LabelledFrame(atoms)]):
        return "molecule"
    if not atoms.pbc.any():
        return "atom" if len(atoms) == 1 else "molecule"
    empty = vacuum(atoms)
    if len(atoms) == 1 and empty.min() >= VACUUM:
        return "atom"
    return "crystal" if empty.max() < VACUUM else "surface"


def vacuum(atoms: Atoms) -> Floats:
    """Thickness of the thickest empty layer along each direction of a cell, shape (3,), Angstrom; infinite where open.

    The thickness is measured between planes of atoms, at a right angle to the faces of the cell.
    """
    cell = atoms.cell.complete()
    heights = 1 / np.linalg.norm(np.linalg.inv(cell.array), axis=0)
    places = np.sort(cell.scaled_positions(atoms.positions) % 1.0, axis=0)
    gaps = np.diff(np.concatenate([places, places[:1] + 1.0]), axis=0)
    return np.where(atoms.pbc, gaps.max(axis=0) * heights, np.inf)
