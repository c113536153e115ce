"""Spins, moments and magnetic forces: which stored values they are, and what is refused."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from equisparse.data.labels import LabelKeys
from equisparse.data.read import read_frames
from equisparse.errors import DataError
from equisparse.quantities import MAGNETIC_FORCES

VECTORS = np.array([[0.0, 1.2, 1.6], [2.0, 0.0, 0.0]])


def written(path: Path, results: dict[str, float] | None = None, **arrays: np.ndarray) -> Path:
    """A file of two iron atoms with some arrays."""
    atoms = Atoms("Fe2", [[0, 0, 0], [0, 0, 2.2]], cell=[5, 5, 5], pbc=True)
    for name, values in arrays.items():
        atoms.arrays[name] = np.array(values, dtype=float)
    if results is not None:
        atoms.calc = SinglePointCalculator(atoms, **results)
    ase.io.write(path / "a.xyz", atoms, format="extxyz")
    return path / "a.xyz"


def test_nothing_is_looked_for_unless_asked(tmp_path: Path) -> None:
    frame = read_frames(written(tmp_path, REF_spin=VECTORS))[0]
    assert frame.spins is None
    assert frame.moments is None


def test_spins_of_a_calculation_are_moments_as_well(tmp_path: Path) -> None:
    forces = np.full((2, 3), 0.01)
    path = written(tmp_path, REF_spin=VECTORS, REF_force_mag=forces)
    frame = read_frames(path, LabelKeys(magnetic=True))[0]
    assert frame.spins == pytest.approx(VECTORS)
    assert frame.moments == pytest.approx(VECTORS)
    assert frame.labels[MAGNETIC_FORCES] == pytest.approx(forces)
    assert set(frame.atoms.arrays) == {"numbers", "positions", "initial_magmoms"}


def test_initial_moments_are_spins_alone(tmp_path: Path) -> None:
    frame = read_frames(written(tmp_path, initial_magmoms=[5.0, -5.0]), LabelKeys(magnetic=True))[0]
    assert frame.spins.tolist() == [5.0, -5.0]
    assert frame.moments is None


def test_results_of_a_calculator(tmp_path: Path) -> None:
    path = written(tmp_path, {"energy": -1.0, "magmoms": [2.1, -2.2]}, initial_magmoms=[5.0, -5.0])
    frame = read_frames(path, LabelKeys(magnetic=True))[0]
    assert frame.spins.tolist() == [5.0, -5.0]
    assert frame.moments.tolist() == [[0, 0, 2.1], [0, 0, -2.2]]


def test_magnitudes_take_the_directions_of_spins(tmp_path: Path) -> None:
    path = written(tmp_path, REF_spin=VECTORS, REF_magmom=[1.0, 3.0])
    frame = read_frames(path, LabelKeys(magnetic=True))[0]
    assert frame.moments == pytest.approx(np.array([[0.0, 0.6, 0.8], [3.0, 0.0, 0.0]]))


def test_a_named_key_wins(tmp_path: Path) -> None:
    path = written(tmp_path, initial_magmoms=[5.0, 5.0], mine=[2.0, -1.0])
    frame = read_frames(path, LabelKeys(spins="mine", moments="mine"))[0]
    assert frame.spins.tolist() == [2.0, -1.0]
    assert frame.moments[:, 2].tolist() == [2.0, -1.0]
    with pytest.raises(DataError, match="No frame has the spins key"):
        read_frames(path, LabelKeys(spins="yours"))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"REF_spin": VECTORS, "REF_magmom": [1.0, -3.0]}, "different conventions"),
        ({"REF_spin": [[0, 0, 0], [2.0, 0, 0]], "REF_magmom": [1.0, 3.0]}, "no direction"),
        ({"REF_spin": np.ones((2, 2))}, "wrong shape"),
        ({"REF_spin": VECTORS, "REF_force_mag": [1.0, 2.0]}, "wrong shape"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_frames(written(tmp_path, **arrays), LabelKeys(magnetic=True))
