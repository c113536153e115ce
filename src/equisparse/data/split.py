"""Splits of frames into training, validation and test sets that keep near duplicates together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from equisparse.data.fingerprint import composition_key, surroundings
from equisparse.data.frames import LabelledFrame
from equisparse.data.near import joined_groups, near_pairs
from equisparse.data.spool import Spool
from equisparse.errors import DataError
from equisparse.wording import counted

Item = TypeVar("Item")


@dataclass(frozen=True)
class Splits(Generic[Item]):
    """Frames, or their indices, for training, for choosing the best epoch, and for the final evaluation."""

    train: Sequence[Item]
    valid: Sequence[Item]
    test: Sequence[Item]

    def items(self) -> list[tuple[str, Sequence[Item]]]:
        """Name and contents of every part that is not empty."""
        named = (("train", self.train), ("valid", self.valid), ("test", self.test))
        return [(name, part) for name, part in named if part]


FrameSplits: TypeAlias = Splits[LabelledFrame]
"""Labelled frames in three parts."""


def near_groups(frames: Sequence[LabelledFrame]) -> list[list[int]]:
    """Groups of frames that are near duplicates of each other, directly or through other frames.

    Consecutive frames of a molecular-dynamics run that was stored every few steps form one group. Frames with different
    stored spins are not near duplicates. `equisparse.data.fingerprint` defines near.

    Returns
    -------
    list of list of int
        Indices of the frames; every frame is in exactly one group.
    """
    keys = [composition_key(frame) for frame in frames]
    wholes = (surroundings(frame).whole for frame in frames)
    descriptors: Sequence[NDArray[np.float32]] = list(wholes) if isinstance(frames, list) else Spool(wholes)
    return joined_groups(len(frames), near_pairs(keys, descriptors))


def split_frames(
    frames: Sequence[LabelledFrame], fractions: tuple[float, float, float] = (0.8, 0.1, 0.1), seed: int = 0
) -> Splits[int]:
    """Split frames at random and keep near duplicates together; reproducible by the seed.

    Parameters
    ----------
    frames : sequence of LabelledFrame
    fractions : tuple of three floats
        Fractions of train, valid and test, with a sum of 1; those of valid and test may be 0. The parts differ from
        them as far as the groups of near duplicates require.
    seed : int
        Seed of the random order.

    Returns
    -------
    Splits of int
        Indices into `frames`, rising. A part with a fraction above 0 has at least one frame.

    Raises
    ------
    DataError
        If the fractions are invalid, or there are fewer groups of near duplicates than parts.
    """
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6 or fractions[0] <= 0:
        raise DataError(
            "Invalid fractions of a split.",
            given=str(fractions),
            expected="three numbers from 0 to 1 with a sum of 1, the first above 0",
        )
    groups = _shuffled(near_groups(frames), seed)
    n_parts = sum(fraction > 0 for fraction in fractions)
    if len(groups) < n_parts:
        raise _too_few_groups(len(frames), len(groups), n_parts)
    valid, groups = _take(groups, fractions[1] * len(frames), keep=1 + (fractions[2] > 0))
    test, groups = _take(groups, fractions[2] * len(frames), keep=1)
    return Splits(train=sorted(i for group in groups for i in group), valid=valid, test=test)


def split_off(frames: Sequence[LabelledFrame], fraction: float = 0.1, seed: int = 0) -> tuple[list[int], list[int]]:
    """Split a fraction of the frames off, and keep near duplicates together.

    Parameters
    ----------
    frames : sequence of LabelledFrame
    fraction : float
        Fraction to split off, above 0 and below 1.
    seed : int
        Seed of the random order.

    Returns
    -------
    rest, part : list of int
        Indices into `frames`, rising; neither is empty.

    Raises
    ------
    DataError
        If the fraction is invalid, or all frames are near duplicates of one another.
    """
    if not 0 < fraction < 1:
        raise DataError("Invalid fraction of a split.", given=str(fraction), expected="a number above 0 and below 1")
    split = split_frames(frames, (1 - fraction, fraction, 0.0), seed)
    return list(split.train), list(split.valid)


def _shuffled(groups: list[list[int]], seed: int) -> list[list[int]]:
    """Groups in a random order."""
    order = np.random.default_rng(seed).permutation(len(groups))
    return [groups[i] for i in order]


def _take(groups: list[list[int]], target: float, keep: int) -> tuple[list[int], list[list[int]]]:
    """Take whole groups until there are about `target` frames; return them and the other groups, at least `keep`."""
    taken: list[int] = []
    left: list[list[int]] = []
    for index, group in enumerate(groups):
        remaining = len(groups) - index - 1 + len(left)
        fits = len(taken) + len(group) <= max(target, 1) + 0.5
        if target > 0 and fits and remaining >= keep:
            taken.extend(group)
        else:
            left.append(group)
    if target > 0 and not taken:
        smallest = min(range(len(left)), key=lambda index: len(left[index]))
        taken = left.pop(smallest)
    return sorted(taken), left


def _too_few_groups(n_frames: int, n_groups: int, n_parts: int) -> DataError:
    """Error for frames that have too few groups of near duplicates."""
    return DataError(
        f"{counted(n_frames, 'frame')} cannot be split into {n_parts} independent parts.",
        given=f"{counted(n_groups, 'group')} of frames that are not near duplicates",
        expected=f"at least {n_parts}",
        cause="too few frames, or one molecular-dynamics run stored at nearly every step",
        next_step="give validation and test files from other runs, or frames that are further apart",
    )
