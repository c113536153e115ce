"""Checks for frames that occur twice, within a set and between sets."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from equisparse.data.audit.context import FrameSet, forces_of, stress_of
from equisparse.data.audit.finding import Finding
from equisparse.data.fingerprint import joined_groups, near_between, near_pairs, same_magnetism, same_structure

_SAME = 1e-3
_ENERGY_DIFFERS = 1e-3
_FORCE_DIFFERS = 0.05
_STRESS_DIFFERS = 5e-3


def duplicates(data: FrameSet) -> Iterator[Finding]:
    """Frames with equal elements, cell and positions, with equal or with different labels."""
    pairs = [(group[0], other) for group in duplicate_groups(data) for other in group[1:]]
    alike = {pair for pair in pairs if same_magnetism(data.surroundings[pair[0]], data.surroundings[pair[1]])}
    clash = {pair for pair in pairs if _labels_differ(data, *pair)}
    plain = {i for pair in clash & alike for i in pair}
    spin = {i for pair in clash - alike for i in pair}
    equal = {repeat for _, repeat in alike - clash}
    if plain:
        yield data.finding(
            "error",
            "duplicates-disagree",
            f"{len(plain)} frames have the same structure as another one but other labels",
            plain,
            "keep one of each; find out which calculation is converged, or which setting differs",
        )
    if spin and not data.spins:
        yield data.finding(
            "warning",
            "duplicates-differ-in-spin",
            f"{len(spin)} frames share their structure with another one but differ in spin and in labels",
            spin,
            "a model that does not see spins cannot fit both: keep the ground states, or train with --spin",
        )
    if equal:
        yield data.finding(
            "warning",
            "duplicate-frames",
            f"{len(equal)} frames repeat an earlier one",
            equal,
            "leave them out: they weigh these structures twice and tell nothing new",
        )


def leakage(sets: Mapping[str, FrameSet]) -> Iterator[Finding]:
    """Frames of the validation or test set that are also, or nearly, in the training set."""
    train = sets["train"]
    for name in ("valid", "test"):
        if name in sets:
            yield from _leaks(train, sets[name])


def _leaks(train: FrameSet, other: FrameSet) -> Iterator[Finding]:
    near = near_between(train.keys, train.whole_descriptors, other.keys, other.whole_descriptors)
    exact = {j for j, places in near.items() if any(_same_frame(train, i, other, j) for i in places.tolist())}
    close = near.keys() - exact
    if exact:
        yield other.finding(
            "error",
            f"{other.name}-in-train",
            f"{len(exact)} of {len(other.frames)} {other.name} frames are also training frames",
            exact,
            f"leave them out of one of the sets: the {other.name} error says nothing with them",
        )
    if close:
        yield other.finding(
            "warning",
            f"{other.name}-near-train",
            f"{len(close)} of {len(other.frames)} {other.name} frames are near duplicates of training frames "
            "(moved, renumbered, or a few steps on)",
            close,
            f"the {other.name} error will look better than it is: split by run or group (equisparse splits that way)",
        )


def duplicate_groups(data: FrameSet) -> list[list[int]]:
    """Numbers of the frames that share one structure, for each structure that occurs more than once."""
    groups = joined_groups(len(data.frames), _same_structures(data))
    return [group for group in groups if len(group) > 1]


def _same_structures(data: FrameSet) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Index of a frame, and the indices of near frames with the same structure atom by atom."""
    for leader, near in near_pairs(data.keys, data.descriptors, tolerance=_SAME):
        same = [same_structure(data.frames[leader], data.frames[other]) for other in near.tolist()]
        yield leader, near[np.array(same)]


def _same_frame(train: FrameSet, i: int, other: FrameSet, j: int) -> bool:
    """Whether near frames are the same atom by atom; near ones agree in their spins already."""
    return same_structure(train.frames[i], other.frames[j])


def _labels_differ(data: FrameSet, i: int, j: int) -> bool:
    first, second = data.frames[i], data.frames[j]
    energy = abs(data.energies[i] - data.energies[j]) > _ENERGY_DIFFERS * first.n_atoms
    forces = (
        first.forces is not None
        and second.forces is not None
        and np.abs(forces_of(first) - forces_of(second)).max(initial=0.0) > _FORCE_DIFFERS
    )
    stress = (
        first.stress is not None
        and second.stress is not None
        and np.abs(stress_of(first) - stress_of(second)).max() > _STRESS_DIFFERS
    )
    return bool(energy or forces or stress)
