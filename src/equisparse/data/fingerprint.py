"""Which frames are alike: a descriptor that does not change under rotation, translation or renumbering of atoms.

Per atom the descriptor holds the distances to its nearest neighbours and two sums over them that tell elements
apart. Per element and column the sorted values over atoms are kept at fixed ranks. Sorted distances move by at most
twice the largest displacement of an atom, so that the largest difference of two descriptors, in Angstrom, says how
far apart two frames of one composition are. Mirror images count as alike. Frames that carry spins or magnetic
moments get further values from them, in which 0.1 Bohr magnetons count as 0.02 Angstrom; these change under rotation.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet
from scipy.spatial import cKDTree

from equisparse.data.frames import Floats, LabelledFrame

NEAR = 0.02
"""Frames whose descriptors differ by at most this, in Angstrom, count as near duplicates."""

CUTOFF = 6.0
"""Atoms without a neighbour within this distance, Angstrom, count as isolated."""

_N_NEIGHBOURS = 20
_FIRST_HALO = 4.5
_N_RANKS = 16
_N_SUMMARY = 6
_FLAT_CELL = 1e-6
_ANGSTROM_PER_MOMENT = 0.2
_ANGSTROM_PER_NEIGHBOUR = 0.2
_SYSTEM_NAMES = ("charge", "total_charge", "spin", "multiplicity", "spin_multiplicity")


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Nearest neighbours of the atoms of one frame, as far as 6 Angstrom.

    Parameters
    ----------
    nearest : array, shape (n_atoms,)
        Distance to the nearest atom or image, Angstrom; infinite if there is none within 6 Angstrom.
    descriptor : array of float32, shape (n_values,)
        Of the geometry, see the module; n_values depends on the composition only.
    magnetism : array of float32, shape (n_moment_values,)
        Of stored spins or magnetic moments, in the scale of `descriptor`; zeros if there are none.
    symmetric : bool
        True if all atoms of each element have the same distances, to 1e-3 Angstrom.
    """

    nearest: Floats
    descriptor: NDArray[np.float32]
    magnetism: NDArray[np.float32]
    symmetric: bool

    @property
    def whole(self) -> NDArray[np.float32]:
        """Descriptor of geometry and magnetism together."""
        return np.concatenate([self.descriptor, self.magnetism])


def surroundings(frame: LabelledFrame) -> Surroundings:
    """Nearest neighbours and descriptor of one frame."""
    distances, index = _neighbours(frame, _FIRST_HALO)
    if not np.isfinite(distances).all():
        distances, index = _neighbours(frame, CUTOFF)
    fade = _fade(distances)
    columns = np.hstack([np.minimum(distances, CUTOFF), _element_sums(frame, index, fade)])
    parts = _ranked(frame, columns)
    spread = max(float(np.ptp(part[:, :_N_NEIGHBOURS], axis=0).max()) for part in parts)
    return Surroundings(
        nearest=distances[:, 0],
        descriptor=_flat(parts),
        magnetism=_flat(_ranked(frame, _moment_columns(frame, index, fade))),
        symmetric=spread < 1e-3,
    )


def composition_key(frame: LabelledFrame) -> bytes:
    """Equal for frames with the same numbers of the same elements and the same stored total charge and spin."""
    info = frame.atoms.info
    system = [f"{name}={info[name]}" for name in _SYSTEM_NAMES if name in info]
    return np.sort(frame.numbers).tobytes() + ";".join(system).encode()


def near_pairs(
    keys: Sequence[bytes], descriptors: Sequence[NDArray[np.float32]], tolerance: float = NEAR
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Frames that are alike, as a leader and those near to it, enough to connect every group.

    A frame within half the tolerance of an earlier leader does not lead itself, which keeps the cost low when a set
    has thousands of almost equal frames.

    Parameters
    ----------
    keys : sequence of bytes
        `composition_key` of each frame; only frames with equal keys are compared.
    descriptors : sequence of array
        Of each frame.
    tolerance : float
        Largest difference of descriptors, Angstrom.

    Yields
    ------
    leader : int
        Number of a frame.
    near : array of int
        Numbers of the frames near to it, without itself.
    """
    for members in _by_key(keys).values():
        values = np.stack([descriptors[i] for i in members])
        lookup = _Lookup(values, tolerance)
        absorbed = np.zeros(len(members), dtype=bool)
        for place, leader in enumerate(members):
            if absorbed[place]:
                continue
            near, difference = lookup.near(values[place])
            absorbed[near[difference <= tolerance / 2]] = True
            others = near[near != place]
            if others.size:
                yield leader, np.asarray(members)[others]


def near_between(
    keys: Sequence[bytes],
    descriptors: Sequence[NDArray[np.float32]],
    other_keys: Sequence[bytes],
    other_descriptors: Sequence[NDArray[np.float32]],
    tolerance: float = NEAR,
) -> dict[int, NDArray[np.int64]]:
    """For each frame of the second set that has any, the numbers of the frames of the first set near to it."""
    found = {}
    places, others = _by_key(keys), _by_key(other_keys)
    for key in places.keys() & others.keys():
        lookup = _Lookup(np.stack([descriptors[i] for i in places[key]]), tolerance)
        for number in others[key]:
            near, _ = lookup.near(other_descriptors[number])
            if near.size:
                found[number] = np.asarray(places[key])[near]
    return dict(sorted(found.items()))


def same_structure(first: LabelledFrame, second: LabelledFrame, tolerance: float = 1e-4) -> bool:
    """Tell whether elements, cell and positions agree atom by atom, Angstrom, up to lattice vectors."""
    if not np.array_equal(first.numbers, second.numbers) or not np.array_equal(first.pbc, second.pbc):
        return False
    if np.abs(first.cell - second.cell).max() > tolerance:
        return False
    return bool(np.abs(shortest(first.positions - second.positions, first)).max(initial=0.0) <= tolerance)


def same_magnetism(first: Surroundings, second: Surroundings, tolerance: float = NEAR) -> bool:
    """Tell whether stored spins agree, or neither frame has any; for frames of one composition."""
    return bool(np.abs(first.magnetism - second.magnetism).max(initial=0.0) <= tolerance)


def shortest(vectors: Floats, frame: LabelledFrame) -> Floats:
    """Vectors, shape (n, 3), less whole lattice vectors of the periodic directions, rounded in lattice coordinates."""
    if not frame.pbc.any():
        return vectors
    cell = frame.atoms.cell.complete().array
    whole = np.round(vectors @ np.linalg.pinv(cell))
    return np.asarray(vectors - (whole * frame.pbc) @ cell)


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
    groups = DisjointSet(range(n_frames))
    for leader, others in pairs:
        for other in others.tolist():
            groups.merge(leader, other)
    return sorted(sorted(group) for group in groups.subsets())


class _Lookup:
    """Rows near to a row: a coarse search over a few columns, then all columns."""

    def __init__(self, values: NDArray[np.float32], tolerance: float) -> None:
        spread = values.std(axis=0)
        self._columns = np.argsort(spread, kind="stable")[::-1][:_N_SUMMARY]
        self._tree = cKDTree(values[:, self._columns])
        self._values = values
        self._tolerance = tolerance

    def near(self, row: NDArray[np.float32]) -> tuple[NDArray[np.int64], Floats]:
        """Numbers of the rows within the tolerance, and their largest differences."""
        ball = self._tree.query_ball_point(row[self._columns], self._tolerance, p=np.inf)
        places = np.asarray(sorted(ball), dtype=np.int64)
        difference = np.abs(self._values[places] - row).max(axis=1, initial=0.0).astype(np.float64)
        inside = difference <= self._tolerance
        return places[inside], difference[inside]


def _by_key(keys: Sequence[bytes]) -> dict[bytes, list[int]]:
    members: dict[bytes, list[int]] = defaultdict(list)
    for number, key in enumerate(keys):
        members[key].append(number)
    return members


def _neighbours(frame: LabelledFrame, halo: float) -> tuple[Floats, NDArray[np.int64]]:
    """Distances, shape (n_atoms, n_neighbours), Angstrom, rising and infinite beyond `halo`, and numbers of the atoms.

    The number is 0 where there is no neighbour.
    """
    points, owner = _with_images(frame, halo)
    found = cKDTree(points).query(points[: frame.n_atoms], k=range(1, _N_NEIGHBOURS + 2), distance_upper_bound=halo)
    distances, index = (np.asarray(part)[:, 1:] for part in found)
    return distances, np.append(owner, 0)[index]


def _with_images(frame: LabelledFrame, halo: float) -> tuple[Floats, NDArray[np.int64]]:
    """Atoms, wrapped into the cell, then the images within `halo` of the cell; the number of each one's atom."""
    owner = np.arange(frame.n_atoms)
    periodic = frame.pbc & (np.linalg.norm(frame.cell, axis=1) > _FLAT_CELL)
    cell = frame.atoms.cell.complete().array
    if not periodic.any() or abs(np.linalg.det(cell)) < _FLAT_CELL:
        return frame.positions, owner
    inverse = np.linalg.inv(cell)
    scaled = frame.positions @ inverse
    scaled -= np.floor(scaled) * periodic
    reach = halo * np.linalg.norm(inverse, axis=0)
    most = [int(np.ceil(r)) if p else 0 for r, p in zip(reach, periodic, strict=True)]
    steps = [range(-n, n + 1) for n in most]
    shifts = np.array([shift for shift in product(*steps) if any(shift)], dtype=np.float64).reshape(-1, 3)
    images = (scaled[None] + shifts[:, None]).reshape(-1, 3)
    inside = (~periodic | ((images >= -reach) & (images <= 1 + reach))).all(axis=1)
    return np.vstack([scaled, images[inside]]) @ cell, np.concatenate([owner, np.tile(owner, len(shifts))[inside]])


def _fade(distances: Floats) -> Floats:
    """Weight of each neighbour, 1 at the atom and smoothly 0 at the last neighbour, same shape as `distances`."""
    reach = np.minimum(distances[:, -1:], CUTOFF)
    ratio = np.minimum(distances, CUTOFF) / np.maximum(reach, 1e-12)
    return np.asarray(np.clip(1 - ratio**2, 0.0, None) ** 2)


def _element_sums(frame: LabelledFrame, index: NDArray[np.int64], fade: Floats) -> Floats:
    """Two sums over neighbours with weights that differ by element, shape (n_atoms, 2), scaled to Angstrom."""
    species = frame.numbers[index]
    sums = [(np.cos(rate * species) * fade).sum(axis=1) for rate in (1.0, 2.4)]
    return _ANGSTROM_PER_NEIGHBOUR * np.stack(sums, axis=1)


def _moment_columns(frame: LabelledFrame, index: NDArray[np.int64], fade: Floats) -> Floats:
    """Components of each moment and its projection on its neighbours' moments, shape (n_atoms, 4)."""
    moments = _moments(frame)
    size = np.maximum(np.linalg.norm(moments, axis=1, keepdims=True), 1.0)
    along = (fade * np.einsum("ix,ijx->ij", moments / size, moments[index])).sum(axis=1, keepdims=True)
    return _ANGSTROM_PER_MOMENT * np.hstack([moments, along])


def _moments(frame: LabelledFrame) -> Floats:
    """Read stored spins or moments, shape (n_atoms, 3), vectors before scalars; zeros if there are none."""
    found = [
        np.asarray(value, dtype=np.float64).reshape(frame.n_atoms, -1)
        for name, value in frame.atoms.arrays.items()
        if any(mark in name.lower() for mark in ("spin", "mag")) and "force" not in name.lower()
        if value.dtype.kind in "fi" and value.shape[1:] in ((), (1,), (3,))
    ]
    moments = np.zeros((frame.n_atoms, 3))
    if found:
        best = max(found, key=lambda value: value.shape[1])
        moments[:, -best.shape[1] :] = np.nan_to_num(best)
    return moments


def _ranked(frame: LabelledFrame, columns: Floats) -> list[Floats]:
    """For each element, the sorted values of each column at up to 16 ranks, with the smallest and the largest."""
    parts = []
    for z in np.unique(frame.numbers):
        values = np.sort(columns[frame.numbers == z], axis=0)
        parts.append(values[np.unique(np.linspace(0, len(values) - 1, _N_RANKS).round().astype(int))])
    return parts


def _flat(parts: Sequence[Floats]) -> NDArray[np.float32]:
    return np.concatenate([part.ravel() for part in parts]).astype(np.float32)
