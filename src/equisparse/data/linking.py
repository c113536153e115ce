"""Groups of points that are linked to each other, with work that grows hardly faster than the number of points."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Points = NDArray[np.float32] | NDArray[np.float64]
"""One point per row."""

Indices = NDArray[np.int64]
"""Indices of points, rising."""


def spanning_links(
    points: Points, radius: float, linked: Callable[[int, Indices], NDArray[np.bool_]]
) -> Iterator[tuple[int, Indices]]:
    """Links that connect every group of linked points; every point is linked once, so dense groups cost little.

    Parameters
    ----------
    points : array, shape (n_points, n_columns)
        Linked points differ by at most `radius` in every column.
    radius : float
    linked : callable
        Index of a point, and indices of others within `radius` of it -> mask of those that are linked to it.

    Yields
    ------
    point : int
    others : array of int
        Points that are linked to it, none of which was yielded before.
    """
    search = _Search(points, radius)
    for start in range(len(points)):
        if not search.left[start]:
            continue
        search.remove(np.array([start]))
        waiting = [start]
        while waiting:
            point = waiting.pop()
            candidates = search.around(point)
            others = candidates[linked(point, candidates)] if candidates.size else candidates
            if others.size:
                search.remove(others)
                waiting.extend(others.tolist())
                yield point, others


class _Search:
    """Search among the points that are not yet removed; the tree is built again when it returns mostly removed ones."""

    def __init__(self, points: Points, radius: float) -> None:
        self._points, self._radius = points, radius
        self.left: NDArray[np.bool_] = np.ones(len(points), dtype=np.bool_)
        self._build()

    def around(self, point: int) -> Indices:
        """Indices of the points that are left within the radius of a point, without itself."""
        if not self._ids.size:
            return self._ids
        ball = self._tree.query_ball_point(self._points[point], self._radius, p=np.inf)
        found = self._ids[np.asarray(ball, dtype=np.int64)]
        left = found[self.left[found]]
        self._wasted += len(found) - len(left)
        if self._wasted > len(self._ids):
            self._build()
        return np.sort(left)

    def remove(self, points: Indices) -> None:
        """Remove points."""
        self.left[points] = False

    def _build(self) -> None:
        """Build the tree of the points that are left."""
        self._ids = np.flatnonzero(self.left)
        self._tree = cKDTree(self._points[self._ids])
        self._wasted = 0
