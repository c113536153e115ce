"""Checks for frames that occur more than once, within a set and between sets."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from equisparse.data.audit.context import FrameSet, forces_of, stress_of
from equisparse.data.audit.finding import Finding
from equisparse.data.audit.system import hidden_differences
from equisparse.data.fingerprint import same_magnetism, same_reordered, same_structure
from equisparse.data.layout import layouts
from equisparse.data.linking import spanning_links
from equisparse.data.near import joined_groups, near_between, near_pairs
from equisparse.wording import agreeing, counted

_SAME = 1e-3
_ENERGY_DIFFERS = 1e-3
_FORCE_DIFFERS = 0.05
_STRESS_DIFFERS = 5e-3


def duplicates(data: FrameSet) -> Iterator[Finding]:
    """Find frames with equal elements, cell and positions, and compare their labels."""
    pairs = [(group[0], other) for group in duplicate_groups(data) for other in group[1:]]
    alike = {pair for pair in pairs if same_magnetism(data.surroundings[pair[0]], data.surroundings[pair[1]])}
    clash = {pair for pair in pairs if _labels_differ(data, *pair)}
    hidden = {pair: hidden_differences(*(data.frames[i].atoms.info for i in pair)) for pair in clash & alike}
    charged = {i for pair, names in hidden.items() if names for i in pair}
    plain = {i for pair, names in hidden.items() if not names for i in pair}
    spin = {i for pair in clash - alike for i in pair}
    equal = {repeat for _, repeat in alike - clash}
    if plain:
        yield data.finding(
            "error",
            "duplicates-disagree",
            f"{counted(len(plain), 'frame has', 'frames have')} the same structure as another frame but different "
            "labels",
            plain,
            "find out which calculation is converged, or which setting differs, and keep one frame of each structure",
        )
    if charged:
        names = ", ".join(sorted({name for names in hidden.values() for name in names}))
        yield data.finding(
            "error",
            "duplicates-differ-in-charge",
            f"{counted(len(charged), 'frame has', 'frames have')} the same structure as another frame but another "
            f"{names} and different labels; the model does not see it",
            charged,
            f"train on frames with one {names}, or one adapter for each value",
        )
    if spin and not data.spins:
        yield data.finding(
            "warning",
            "duplicates-differ-in-spin",
            f"{counted(len(spin), 'frame has', 'frames have')} the same structure as another frame but different "
            "spins and labels",
            spin,
            "a model without spins cannot fit both: keep only the ground states, or train with --spin",
        )
    if equal:
        yield data.finding(
            "warning",
            "duplicate-frames",
            f"{counted(len(equal), 'frame is', 'frames are')} equal to an earlier frame",
            equal,
            "remove them: they add no information, and count their structures twice in the loss",
        )


def leakage(sets: Mapping[str, FrameSet]) -> Iterator[Finding]:
    """Find frames of the validation or test set that are, or nearly are, in the training set."""
    train = sets["train"]
    for name in ("valid", "test"):
        if name in sets:
            yield from _leaks(train, sets[name])


def _leaks(train: FrameSet, other: FrameSet) -> Iterator[Finding]:
    """Find frames of another set that are, or nearly are, training frames."""
    exact: set[int] = set()
    close: set[int] = set()
    for j, places in near_between(train.keys, train.whole_descriptors, other.keys, other.whole_descriptors):
        same = any(_same_frame(train, i, other, j) for i in _of_same_geometry(train, places, other, j))
        (exact if same else close).add(j)
    if exact:
        yield other.finding(
            "error",
            f"{other.name}-in-train",
            f"{len(exact):,} of {counted(len(other.frames), f'{other.name} frame')} "
            + agreeing(len(exact), "is also a training frame", "are also training frames"),
            exact,
            f"remove them from one of the sets: with them, the {other.name} error is no measure of accuracy",
        )
    if close:
        yield other.finding(
            "warning",
            f"{other.name}-near-train",
            f"{len(close):,} of {counted(len(other.frames), f'{other.name} frame')} "
            + agreeing(len(close), "is a near duplicate of a training frame", "are near duplicates of training frames")
            + ": displaced, turned, or from a few time steps later",
            close,
            f"the {other.name} error will be too optimistic: split by run, or let equisparse split, which keeps near "
            "duplicates together",
        )


def duplicate_groups(data: FrameSet) -> list[list[int]]:
    """Indices of the frames with the same structure, for each structure that occurs more than once."""
    groups = joined_groups(len(data.frames), _same_structures(data))
    return [group for group in groups if len(group) > 1]


def _same_structures(data: FrameSet) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Index of a frame, and the indices of others with the same structure atom by atom."""
    for group in joined_groups(len(data.frames), near_pairs(data.keys, data.descriptors, tolerance=_SAME)):
        if len(group) > 1:
            yield from _same_in_group(data, np.array(group))


def _same_in_group(data: FrameSet, group: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Index of a frame, and the indices of others of a group of near frames with the same structure."""
    points, radius = layouts([data.frames[i] for i in group.tolist()])

    def same(row: int, candidates: NDArray[np.int64]) -> NDArray[np.bool_]:
        frame = data.frames[int(group[row])]
        return np.array([same_structure(frame, data.frames[i]) for i in group[candidates].tolist()], dtype=np.bool_)

    for row, others in spanning_links(points, radius, same):
        yield int(group[row]), group[others]


def _of_same_geometry(train: FrameSet, places: NDArray[np.int64], other: FrameSet, j: int) -> list[int]:
    """Those of some training frames whose geometry may equal that of a frame of another set."""
    geometry = other.descriptors[j]
    return [i for i in places.tolist() if np.abs(train.descriptors[i] - geometry).max(initial=0.0) <= _SAME]


def _same_frame(train: FrameSet, i: int, other: FrameSet, j: int) -> bool:
    """Return whether near frames, which have the same spins, are equal atom by atom, in any order of the atoms."""
    first, second = train.frames[i], other.frames[j]
    return same_structure(first, second) or same_reordered(first, second)


def _labels_differ(data: FrameSet, i: int, j: int) -> bool:
    """Return whether energies, forces or stresses of two frames differ by more than convergence errors."""
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
