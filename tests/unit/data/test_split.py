"""Splitting: a partition, reproducible, with near duplicates on one side."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from equisparse.data.frames import LabelledFrame
from equisparse.data.split import near_groups, split_frames, split_off
from equisparse.errors import DataError


def shifted(frame: LabelledFrame, seed: int) -> LabelledFrame:
    """Renumber, move and slightly displace a frame."""
    rng = np.random.default_rng(seed)
    atoms = frame.atoms[rng.permutation(frame.n_atoms)]
    atoms.positions += rng.normal(size=3) + rng.normal(0, 0.001, (frame.n_atoms, 3))
    return replace(frame, atoms=atoms)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(copies=st.lists(st.integers(0, 9), min_size=0, max_size=20), seed=st.integers(0, 99), share=st.floats(0.05, 0.4))
def test_partition_that_keeps_near_duplicates_together(
    healthy: list[LabelledFrame], copies: list[int], seed: int, share: float
) -> None:
    frames = healthy[:10] + [shifted(healthy[i], k) for k, i in enumerate(copies)]
    origin = [*range(10), *copies]
    split = split_frames(frames, (1 - 2 * share, share, share), seed)
    assert sorted(split.train + split.valid + split.test) == list(range(len(frames)))
    assert split.train
    assert split.valid
    assert split.test
    sides = [{origin[i] for i in part} for part in (split.train, split.valid, split.test)]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    assert split == split_frames(frames, (1 - 2 * share, share, share), seed)


def test_shares_are_met_without_duplicates(healthy: list[LabelledFrame]) -> None:
    split = split_frames(healthy, (0.5, 0.25, 0.25), seed=3)
    assert [len(split.train), len(split.valid), len(split.test)] == [12, 6, 6]
    rest, part = split_off(healthy, 0.25, seed=3)
    assert (len(rest), len(part)) == (18, 6)
    assert split_off(healthy, 0.25, seed=4) != (rest, part)


def test_groups_follow_a_slow_run(trajectory: list[LabelledFrame], healthy: list[LabelledFrame]) -> None:
    slow = [trajectory[0]]
    for k in range(6):
        atoms = slow[-1].atoms.copy()
        atoms.positions += np.random.default_rng(k).normal(0, 0.003, (8, 3))
        slow.append(replace(slow[-1], atoms=atoms))
    assert near_groups([healthy[0], *slow, healthy[1]]) == [[0], [1, 2, 3, 4, 5, 6, 7], [8]]


def test_one_group_cannot_be_split(healthy: list[LabelledFrame]) -> None:
    same = [shifted(healthy[0], k) for k in range(8)]
    with pytest.raises(DataError, match=r"8 frames cannot be split into 2 independent parts(.|\n)*1 group of"):
        split_off(same)
    with pytest.raises(DataError, match="3 independent parts"):
        split_frames([*same, healthy[1]])
    assert split_off([*same, healthy[1]]) in (([8], list(range(8))), (list(range(8)), [8]))


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.5), (1.2, -0.1, -0.1), (0.0, 0.5, 0.5), (0.5, 0.5)])
def test_shares_that_are_none(healthy: list[LabelledFrame], fractions: tuple[float, float, float]) -> None:
    with pytest.raises(DataError, match="Invalid fractions"):
        split_frames(healthy, fractions)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5])
def test_fraction_that_is_none(healthy: list[LabelledFrame], fraction: float) -> None:
    with pytest.raises(DataError, match="Invalid fraction"):
        split_off(healthy, fraction)


def test_spins_keep_frames_apart(make: Callable[..., LabelledFrame], healthy: list[LabelledFrame]) -> None:
    frames = []
    for k in range(3):
        atoms = healthy[0].atoms.copy()
        atoms.arrays["REF_spin"] = np.random.default_rng(k).normal(size=(8, 3))
        frames.append(replace(healthy[0], atoms=atoms))
    assert near_groups(frames) == [[0], [1], [2]]
