"""Search for near duplicates by their descriptors; memory and work grow hardly faster than the number of frames.

Frames of one composition are compared. A search over the few values of the descriptor that differ most finds
candidates; then all values are compared. Descriptors may lie on a disk: they are read by index, a few at a time.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from equisparse.data.fingerprint import NEAR
from equisparse.data.linking import spanning_links

_N_SUMMARY, _N_TELLING = 6, 24
_MOST_COMPARED = 512
_MOST_SAMPLED = 2000  # frames from which the columns with the largest spread are chosen
_MOST_KEPT = 2**24  # values: descriptors of one composition that are held in memory at once
_BLOCK = 4096


def near_pairs(
    keys: Sequence[bytes], descriptors: Sequence[NDArray[np.float32]], tolerance: float = NEAR
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Near frames, as pairs of a frame and others near to it; the pairs connect every group of near frames.

    Parameters
    ----------
    keys : sequence of bytes
        `composition_key` of each frame; only frames with equal keys are compared.
    descriptors : sequence of array
        Descriptor of each frame; it may read them from a disk.
    tolerance : float
        Largest difference of descriptors, Angstrom.

    Yields
    ------
    frame : int
        Index of a frame.
    near : array of int
        Indices of frames near to it that were not yielded before.
    """
    for members in _by_key(keys).values():
        if len(members) < 2:
            continue
        lookup = _Lookup(members, descriptors, tolerance)
        for row, others in spanning_links(lookup.points, tolerance, lookup.near_rows):
            yield members[row], np.asarray(members)[others]


def nearest_pairs(
    keys: Sequence[bytes], descriptors: Sequence[NDArray[np.float32]], count: int, tolerance: float = NEAR
) -> Iterator[tuple[int, int]]:
    """Pairs of each frame and up to `count` near frames with a higher index; see `near_pairs`."""
    for members in _by_key(keys).values():
        if len(members) < 2:
            continue
        lookup = _Lookup(members, descriptors, tolerance)
        for row, index in enumerate(members):
            candidates = lookup.nearest(lookup.points[row], _MOST_COMPARED)
            candidates = candidates[candidates > row]
            near = candidates[lookup.near(descriptors[index], candidates)]
            yield from ((index, members[other]) for other in near[:count].tolist())


def near_between(
    keys: Sequence[bytes],
    descriptors: Sequence[NDArray[np.float32]],
    other_keys: Sequence[bytes],
    other_descriptors: Sequence[NDArray[np.float32]],
    tolerance: float = NEAR,
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Frames of the first set near to each frame of the second set.

    If a frame has more than 512 candidates, the 512 nearest of them in six values of the descriptor are compared.

    Parameters
    ----------
    keys, other_keys : sequence of bytes
        `composition_key` of each frame of both sets.
    descriptors, other_descriptors : sequence of array
        Descriptor of each frame of both sets.
    tolerance : float
        Largest difference of descriptors, Angstrom.

    Yields
    ------
    frame : int
        Index of a frame of the second set that has near frames in the first.
    near : array of int
        Indices of near frames of the first set.
    """
    members, other_members = _by_key(keys), _by_key(other_keys)
    for key in members.keys() & other_members.keys():
        lookup = _Lookup(members[key], descriptors, tolerance)
        for index in other_members[key]:
            descriptor = other_descriptors[index]
            candidates = lookup.nearest(descriptor[lookup.columns], _MOST_COMPARED)
            near = candidates[lookup.near(descriptor, candidates)]
            if near.size:
                yield index, np.asarray(members[key])[near]


def joined_groups(n_frames: int, pairs: Iterable[tuple[int, NDArray[np.int64]]]) -> list[list[int]]:
    """Groups of frames that pairs connect, directly or through other frames; every frame is in exactly one group.

    Parameters
    ----------
    n_frames : int
    pairs : iterable of (int, array of int)
        Index of a frame, and the indices of frames in the same group as it, as `near_pairs` yields them.

    Returns
    -------
    list of list of int
        Indices in rising order; groups in the order of their first frames.
    """
    leaders, others = array("q"), array("q")
    for leader, found in pairs:
        leaders.extend([leader] * len(found))
        others.extend(found.tolist())
    links = coo_array((np.ones(len(leaders)), (leaders, others)), shape=(n_frames, n_frames))
    _, names = connected_components(links, directed=False)
    order = np.argsort(names, kind="stable")  # sets of Python would take half a kilobyte per frame
    groups = np.split(order, np.flatnonzero(np.diff(names[order])) + 1)
    return sorted(group.tolist() for group in groups if group.size)


class _Lookup:
    """Search for near frames of one composition: coarse over a few columns, then exact over all columns."""

    def __init__(self, members: Sequence[int], descriptors: Sequence[NDArray[np.float32]], tolerance: float) -> None:
        self._members, self._descriptors, self._tolerance = members, descriptors, tolerance
        sample = np.stack([descriptors[i] for i in members[:_MOST_SAMPLED]])
        order = np.argsort(sample.std(axis=0), kind="stable")[::-1]
        self.columns, self._telling = order[:_N_SUMMARY], order[:_N_TELLING]
        fits = len(members) * sample.shape[1] <= _MOST_KEPT
        self._values = np.stack([descriptors[i] for i in members]) if fits else None
        self.points = (
            np.stack([descriptors[i][self.columns] for i in members])
            if self._values is None
            else self._values[:, self.columns]
        )

    def near_rows(self, row: int, candidates: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mask of the candidates, rows of this composition, that are near to a row."""
        return self.near(self._descriptors[self._members[row]], candidates)

    def near(self, descriptor: NDArray[np.float32], candidates: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mask of the candidates that are near to a descriptor; most are ruled out by a few columns."""
        near = np.zeros(len(candidates), dtype=np.bool_)
        for first in range(0, len(candidates), _BLOCK):
            rows = self._rows(candidates[first : first + _BLOCK])
            apart = np.abs(rows[:, self._telling] - descriptor[self._telling]).max(axis=1, initial=0.0)
            left = np.flatnonzero(apart <= self._tolerance)
            apart = np.abs(rows[left] - descriptor).max(axis=1, initial=0.0)
            near[first + left] = apart <= self._tolerance
        return near

    def nearest(self, point: NDArray[np.float32], most: int) -> NDArray[np.int64]:
        """Rows within the tolerance in the coarse columns, rising; of more than `most`, the nearest."""
        most = min(most, len(self._members))
        reach = np.nextafter(self._tolerance, np.inf)
        distances, rows = self._tree.query(point, k=range(1, most + 1), distance_upper_bound=reach, p=np.inf)
        return np.sort(np.asarray(rows, dtype=np.int64)[np.isfinite(distances)])

    @cached_property
    def _tree(self) -> cKDTree:
        """Tree of the coarse columns."""
        return cKDTree(self.points)

    def _rows(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Descriptors of some rows."""
        if self._values is not None:
            return self._values[rows]
        return np.stack([self._descriptors[self._members[row]] for row in rows.tolist()])


def _by_key(keys: Sequence[bytes]) -> dict[bytes, list[int]]:
    """Indices of the frames with each key."""
    members: dict[bytes, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        members[key].append(index)
    return members
