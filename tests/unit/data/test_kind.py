"""Frames of one molecule are told from any others."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from equisparse.data.frames import LabelledFrame, unlabelled
from equisparse.data.kind import is_one_molecule


def frames(*structures: Atoms) -> list[LabelledFrame]:
    return unlabelled(list(structures), "memory")


def reordered(atoms: Atoms) -> Atoms:
    return atoms[np.argsort(atoms.numbers)]


@pytest.mark.parametrize(
    ("structures", "expected"),
    [
        ([molecule("CH3CH2OH"), reordered(molecule("CH3CH2OH"))], True),
        ([molecule("CH3CH2OH"), molecule("H2O")], False),
        ([bulk("Cu", cubic=True)], False),
        ([Atoms("H"), Atoms("H")], False),
        ([], False),
    ],
)
def test_one_molecule(structures: list[Atoms], expected: bool) -> None:
    assert is_one_molecule(frames(*structures)) is expected
