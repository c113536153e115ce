"""Frames of one molecule are told from any others."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene, molecule

from equisparse.data.frames import LabelledFrame, unlabelled
from equisparse.data.kind import is_one_molecule


def frames(*structures: Atoms) -> list[LabelledFrame]:
    return unlabelled(list(structures), "memory")


def reordered(atoms: Atoms) -> Atoms:
    return atoms[np.argsort(atoms.numbers)]


def boxed(atoms: Atoms, length: float, shift: float = 0.0) -> Atoms:
    """The atoms in a periodic cube; with a shift, the molecule crosses the faces of the cube."""
    copy = atoms.copy()
    copy.set_cell([length] * 3)
    copy.set_pbc(True)
    copy.translate(shift)
    copy.wrap()
    return copy


@pytest.mark.parametrize(
    ("structures", "expected"),
    [
        ([boxed(molecule("CH3CH2OH"), 20.0), boxed(molecule("CH3CH2OH"), 20.0, shift=9.0)], True),
        ([boxed(molecule("CH3CH2OH"), 20.0, shift=9.0)], True),
        ([boxed(molecule("CH3CH2OH"), 5.0)], False),
        ([boxed(molecule("H2O"), 20.0) + Atoms("O", [[10, 10, 10]])], False),
        ([graphene(vacuum=40.0)], False),
        ([boxed(graphene(size=(3, 3, 1), vacuum=40.0), 90.0)], True),
        ([molecule("CH3CH2OH"), reordered(molecule("CH3CH2OH"))], True),
        ([molecule("CH3CH2OH"), molecule("H2O")], False),
        ([bulk("Cu", cubic=True)], False),
        ([Atoms("H"), Atoms("H")], False),
        ([], False),
    ],
)
def test_one_molecule(structures: list[Atoms], expected: bool) -> None:
    assert is_one_molecule(frames(*structures)) is expected
