"""Frames of a pool that are far from known frames and from one another, by the descriptor of `data.fingerprint`."""

from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import cdist

from equisparse.data.fingerprint import composition_key, surroundings
from equisparse.data.frames import Floats, LabelledFrame


def nearest_known(pool: Sequence[LabelledFrame], known: Sequence[LabelledFrame]) -> Floats:
    """Distance of each frame of a pool to the nearest known frame of its composition, Angstrom, shape (n_pool,).

    The distance of two frames is the largest difference of their descriptors. It is infinite for a composition that no
    known frame has.
    """
    distances = np.full(len(pool), np.inf)
    known_by = _descriptors(known)
    for key, (places, descriptors) in _descriptors(pool).items():
        if key in known_by:
            distances[places] = cdist(descriptors, known_by[key][1], "chebyshev").min(axis=1)
    return distances


def farthest(pool: Sequence[LabelledFrame], nearest: Floats, count: int, least: float) -> list[tuple[int, float]]:
    """Pick frames one after the other, each the one that is farthest from the known and the picked frames.

    This is the greedy algorithm of Gonzalez (Theor. Comput. Sci. 38, 293, 1985), which is within a factor of two of the
    best cover of the pool.

    Parameters
    ----------
    pool : sequence of LabelledFrame
    nearest : array, shape (n_pool,), Angstrom
        From `nearest_known`.
    count : int
        Largest number of frames to pick.
    least : float
        Frames that are nearer than this to a known or picked frame are never picked, Angstrom.

    Returns
    -------
    list of (int, float)
        Index of each picked frame in the pool, and its distance to the known and earlier picked frames, in the order of
        picking. Among frames of equal distance, the first one of the pool is picked.
    """
    distances = nearest.copy()
    picked: list[tuple[int, float]] = []
    groups = list(_descriptors(pool).values())
    group_of = {int(place): group for group, (places, _) in enumerate(groups) for place in places}
    while len(picked) < min(count, len(pool)):
        index = int(np.argmax(distances))
        if distances[index] < least:
            break
        picked.append((index, float(distances[index])))
        places, descriptors = groups[group_of[index]]
        row = descriptors[places == index]
        distances[places] = np.minimum(distances[places], cdist(descriptors, row, "chebyshev")[:, 0])
        distances[index] = -np.inf
    return picked


def _descriptors(frames: Sequence[LabelledFrame]) -> dict[bytes, tuple[Floats, Floats]]:
    """Indices and descriptors of the frames of each composition."""
    places: dict[bytes, list[int]] = {}
    for index, frame in enumerate(frames):
        places.setdefault(composition_key(frame), []).append(index)
    return {
        key: (np.array(group), np.stack([surroundings(frames[index]).whole for index in group]).astype(np.float64))
        for key, group in places.items()
    }
