"""What a spin layer is given of labelled frames: lengths of spins, directions of vanished moments, masked labels."""

import numpy as np
import pytest
from ase import Atoms

from equisparse.data.frames import LabelledFrame
from equisparse.errors import DataError
from equisparse.inputs.spins import labelled_for, spin_lengths
from equisparse.magnetism.model import spins_of
from equisparse.magnetism.options import SpinOptions
from equisparse.quantities import ENERGY, MAGNETIC_FORCES, MOMENTS

GIVEN = SpinOptions(8, 5.0, 8)
ORDER = SpinOptions(8, 5.0, 8, "order", {26: 2.0})


def frame(moments: np.ndarray, spins: np.ndarray | None = None, forces: np.ndarray | None = None) -> LabelledFrame:
    """Two iron atoms and one of oxygen; the input spins are the moments if not given."""
    atoms = Atoms("Fe2O", np.diag([1.0, 2.0, 4.0]))
    atoms.set_initial_magnetic_moments(moments if spins is None else spins)
    return LabelledFrame(atoms).with_labels({ENERGY: -1.0, MOMENTS: moments, MAGNETIC_FORCES: forces})


VECTORS = np.array([[0.0, 0.0, 2.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.1]])


def test_lengths_are_root_mean_squares_of_elements_that_carry_spins() -> None:
    assert spin_lengths([frame(VECTORS)]) == {26: pytest.approx(np.sqrt(2.5))}
    with pytest.raises(DataError, match="No element is magnetic"):
        spin_lengths([frame(0.1 * VECTORS)])


def test_moments_that_repeat_given_spins_are_no_labels() -> None:
    (found,) = labelled_for(GIVEN, [frame(VECTORS)])
    assert found.moments is None
    (found,) = labelled_for(ORDER, [frame(VECTORS)])
    assert found.moments == pytest.approx(VECTORS)
    (found,) = labelled_for(GIVEN, [frame(VECTORS, spins=2 * VECTORS)])
    assert found.moments == pytest.approx(VECTORS)


def test_directions_of_vanished_moments_are_those_of_the_frame() -> None:
    weak = np.array([[0.0, 0.0, 2.0], [0.003, -0.002, -0.001], [0.0, 0.05, 0.0]])
    (found,) = labelled_for(ORDER, [frame(weak)])
    spins = spins_of(found.atoms)
    assert spins[1] / np.linalg.norm(spins[1]) == pytest.approx([0, 0, 1], abs=0.05)
    assert spins[2] == pytest.approx(weak[2])  # oxygen carries no spin of its own
    assert found.moments == pytest.approx(weak)
    (found,) = labelled_for(ORDER, [frame(weak, spins=[5.0, 0.0, 0.0])])
    assert spins_of(found.atoms)[:, 2].tolist() == [5.0, 0.0, 0.0]  # a start of 0 was meant
    (found,) = labelled_for(ORDER, [frame(0 * weak)])
    assert spins_of(found.atoms)[:, 2].tolist() == [1.0, 1.0, 0.0]


def test_moments_of_atoms_without_a_spin_can_be_left_out() -> None:
    (found,) = labelled_for(ORDER, [frame(VECTORS)], everywhere=False)
    assert np.isnan(found.moments).any(axis=1).tolist() == [False, False, True]


def test_magnetic_forces_need_lengths_and_a_spin() -> None:
    forces = np.full((3, 3), 0.01)
    spins = np.array([[0.0, 0.0, 2.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    (found,) = labelled_for(GIVEN, [frame(VECTORS, spins, forces)])
    assert np.isnan(found.labels[MAGNETIC_FORCES]).any(axis=1).tolist() == [False, False, True]
    (found,) = labelled_for(ORDER, [frame(VECTORS, spins, forces)])
    assert MAGNETIC_FORCES not in found.labels
