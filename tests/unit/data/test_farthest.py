"""Frames far from known frames and from one another."""

import numpy as np
import pytest
from ase import Atoms

from equisparse.data.farthest import farthest, nearest_known
from equisparse.data.frames import LabelledFrame, unlabelled


def pairs(*lengths: float, symbols: str = "Cu2") -> list[LabelledFrame]:
    """One pair of atoms per length."""
    return unlabelled([Atoms(symbols, [[0, 0, 0], [length, 0, 0]]) for length in lengths], "pairs")


def test_the_distance_is_that_of_the_nearest_known_frame() -> None:
    found = nearest_known(pairs(2.0, 2.3, 3.0), pairs(2.0, 2.5))
    assert found == pytest.approx([0.0, 0.2, 0.5], abs=0.05)


def test_a_composition_that_is_not_known_is_infinitely_far() -> None:
    assert np.isinf(nearest_known(pairs(2.0, symbols="CuAg"), pairs(2.0))).all()


def test_the_farthest_come_first_and_near_ones_never() -> None:
    pool = [*pairs(2.01, 2.6, 3.2, 3.21), *pairs(2.0, symbols="CuAg")]
    pool = unlabelled([frame.atoms for frame in pool], "pool")
    picked = farthest(pool, nearest_known(pool, pairs(2.0)), 10, 0.02)
    assert [index for index, _ in picked] == [4, 3, 1]
    assert np.isinf(picked[0][1])
    assert picked[1][1] > picked[2][1] > 0.02


def test_no_more_than_asked_for() -> None:
    pool = pairs(2.2, 2.6, 3.0)
    assert len(farthest(pool, nearest_known(pool, []), 2, 0.02)) == 2
    assert farthest([], np.zeros(0), 2, 0.02) == []
