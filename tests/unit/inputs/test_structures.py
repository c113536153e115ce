"""Structures are read without their labels: labels that contradict each other stop no command that needs none."""

from pathlib import Path

import ase.io
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from equisparse.data.frames import LabelledFrame
from equisparse.errors import DataError, InputError
from equisparse.inputs.frames import load_frames, load_structures


def contradictory() -> Atoms:
    """A molecule with two energies."""
    atoms = Atoms("CO", [[0, 0, 0], [0, 0, 1.1]], info={"REF_energy": -3.5})
    atoms.calc = SinglePointCalculator(atoms, energy=-9.0)
    return atoms


def test_structures_of_files_and_in_memory(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "a.extxyz", contradictory())
    with pytest.raises(DataError, match="stored more than once"):
        load_frames(tmp_path / "a.extxyz")
    for frames in (tmp_path / "a.extxyz", contradictory(), [contradictory()], LabelledFrame(contradictory())):
        (structure,) = load_structures(frames)
        assert len(structure) == 2
    assert load_structures(contradictory())[0].calc is None


def test_structures_that_are_missing_or_not_finite() -> None:
    with pytest.raises(InputError):
        load_structures([])
    broken = contradictory()
    broken.positions[1] = float("nan")
    with pytest.raises(DataError, match="memory, frame 1"):
        load_structures([contradictory(), broken])
