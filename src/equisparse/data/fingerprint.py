"""Similarity of frames by a descriptor that is invariant under rotation, translation and reordering of atoms.

For each atom the descriptor contains the distances to its nearest neighbours and two sums over them that distinguish
elements. For each element and column, the sorted values over atoms are kept at fixed ranks. Sorted distances change by
at most twice the largest displacement of an atom, so the largest difference of two descriptors, in Angstrom, measures
how different two frames of one composition are. Mirror images are equal. Frames with spins or magnetic moments get
further values from them, in which 0.1 muB count as 0.02 Angstrom; these values change under rotation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.lattice import image_steps

NEAR = 0.02
"""Largest difference of the descriptors of near duplicates, Angstrom."""

CUTOFF = 6.0
"""An atom without a neighbour within this distance, Angstrom, is isolated."""

_N_NEIGHBOURS = 20
_FIRST_HALO = 4.5
_N_RANKS = 16
_ANGSTROM_PER_MOMENT = 0.2
_ANGSTROM_PER_NEIGHBOUR = 0.2


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Descriptors of one frame, from neighbours within 6 Angstrom.

    Parameters
    ----------
    nearest : array, shape (n_atoms,)
        Distance of each atom to the nearest atom or image, Angstrom; infinite if there is none within 6 Angstrom.
    descriptor : array of float32, shape (n_values,)
        Descriptor of the geometry, see the module; its length depends on the composition only.
    magnetism : array of float32, shape (n_moment_values,)
        Descriptor of stored spins or magnetic moments, in the scale of `descriptor`; zeros if there are none.
    symmetric : bool
        Whether all atoms of each element have equal distances, within 1e-3 Angstrom.
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
    """Neighbour distances and descriptors of one frame."""
    distances, index = _neighbours(frame, _FIRST_HALO)
    if not np.isfinite(distances).all():
        distances, index = _neighbours(frame, CUTOFF)
    fade = _fade(distances)
    columns = np.hstack([np.minimum(distances, CUTOFF), _element_sums(frame, index, fade)])
    ranked = _ranked(frame, columns)
    spread = max(float(np.ptp(values[:, :_N_NEIGHBOURS], axis=0).max()) for values in ranked)
    return Surroundings(
        nearest=distances[:, 0],
        descriptor=_flat(ranked),
        magnetism=_flat(_ranked(frame, _moment_columns(frame, index, fade))),
        symmetric=spread < 1e-3,
    )


def composition_key(frame: LabelledFrame) -> bytes:
    """Key that is equal for frames with equal composition; models do not see charges and multiplicities."""
    return np.sort(frame.numbers).tobytes()


def same_structure(first: LabelledFrame, second: LabelledFrame, tolerance: float = 1e-4) -> bool:
    """Return whether two frames agree atom by atom within `tolerance` (Angstrom), up to lattice vectors."""
    if not np.array_equal(first.numbers, second.numbers) or not np.array_equal(first.pbc, second.pbc):
        return False
    if np.abs(first.cell - second.cell).max() > tolerance:
        return False
    return bool(np.abs(shortest(first.positions - second.positions, first)).max(initial=0.0) <= tolerance)


def same_reordered(first: LabelledFrame, second: LabelledFrame, tolerance: float = 1e-4) -> bool:
    """Return whether two frames agree within `tolerance` (Angstrom) once the atoms of the second are reordered."""
    if composition_key(first) != composition_key(second) or not np.array_equal(first.pbc, second.pbc):
        return False
    if np.abs(first.cell - second.cell).max() > tolerance:
        return False
    points, owner = _with_images(first, 10 * tolerance)
    wanted = _with_images(second, 10 * tolerance)[0][: second.n_atoms]
    distances, rows = cKDTree(points).query(wanted, distance_upper_bound=2 * tolerance)
    if not np.isfinite(distances).all():
        return False
    matched = owner[rows]
    return len(np.unique(matched)) == first.n_atoms and np.array_equal(first.numbers[matched], second.numbers)


def same_magnetism(first: Surroundings, second: Surroundings, tolerance: float = NEAR) -> bool:
    """Return whether the stored spins of two frames of one composition agree, or neither has any."""
    return bool(np.abs(first.magnetism - second.magnetism).max(initial=0.0) <= tolerance)


def shortest(vectors: Floats, frame: LabelledFrame) -> Floats:
    """Vectors minus lattice vectors of the periodic directions, rounded in fractional coordinates.

    Parameters
    ----------
    vectors : array, shape (n, 3), Angstrom
    frame : LabelledFrame
        Frame whose lattice is used.
    """
    if not frame.pbc.any():
        return vectors
    cell = frame.atoms.cell.complete().array
    whole = np.round(vectors @ np.linalg.pinv(cell))
    return np.asarray(vectors - (whole * frame.pbc) @ cell)


def _neighbours(frame: LabelledFrame, halo: float) -> tuple[Floats, NDArray[np.int64]]:
    """Distances to neighbours, rising, Angstrom, and indices of these atoms, both of shape (n_atoms, n_neighbours).

    Where there is no neighbour within `halo`, the distance is infinite and the index 0.
    """
    points, owner = _with_images(frame, halo)
    distances, rows = cKDTree(points).query(
        points[: frame.n_atoms], k=range(1, _N_NEIGHBOURS + 2), distance_upper_bound=halo
    )
    return np.asarray(distances)[:, 1:], np.append(owner, 0)[np.asarray(rows)[:, 1:]]


def _with_images(frame: LabelledFrame, halo: float) -> tuple[Floats, NDArray[np.int64]]:
    """Positions of the atoms, wrapped into the cell, then of images within `halo` of it; and indices of the atoms."""
    owner, most = np.arange(frame.n_atoms), image_steps(frame.atoms, halo)
    if not most.any():
        return frame.positions, owner
    periodic, cell = most > 0, frame.atoms.cell.complete().array
    inverse = np.linalg.inv(cell)
    scaled = frame.positions @ inverse
    scaled -= np.floor(scaled) * periodic
    reach = halo * np.linalg.norm(inverse, axis=0)
    steps = [range(-n, n + 1) for n in most.astype(int)]
    shifts = np.array([shift for shift in product(*steps) if any(shift)], dtype=np.float64).reshape(-1, 3)
    images = (scaled[None] + shifts[:, None]).reshape(-1, 3)
    inside = (~periodic | ((images >= -reach) & (images <= 1 + reach))).all(axis=1)
    return np.vstack([scaled, images[inside]]) @ cell, np.concatenate([owner, np.tile(owner, len(shifts))[inside]])


def _fade(distances: Floats) -> Floats:
    """Weight of each neighbour, which falls smoothly from 1 at the atom to 0 at its last neighbour."""
    reach = np.minimum(distances[:, -1:], CUTOFF)
    ratio = np.minimum(distances, CUTOFF) / np.maximum(reach, 1e-12)
    return np.asarray(np.clip(1 - ratio**2, 0.0, None) ** 2)


def _element_sums(frame: LabelledFrame, index: NDArray[np.int64], fade: Floats) -> Floats:
    """Two sums over neighbours with weights that depend on the element, shape (n_atoms, 2), scaled to Angstrom."""
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
    """Stored spins or moments, shape (n_atoms, 3), vectors preferred to numbers; zeros if there are none."""
    candidates = [
        np.asarray(value, dtype=np.float64).reshape(frame.n_atoms, -1)
        for name, value in frame.atoms.arrays.items()
        if any(mark in name.lower() for mark in ("spin", "mag")) and "force" not in name.lower()
        if value.dtype.kind in "fi" and value.shape[1:] in ((), (1,), (3,))
    ]
    moments = np.zeros((frame.n_atoms, 3))
    if candidates:
        best = max(candidates, key=lambda value: value.shape[1])
        moments[:, -best.shape[1] :] = np.nan_to_num(best)
    return moments


def _ranked(frame: LabelledFrame, columns: Floats) -> list[Floats]:
    """For each element, the sorted values of each column at up to 16 ranks, including the smallest and the largest."""
    ranked = []
    for z in np.unique(frame.numbers):
        values = np.sort(columns[frame.numbers == z], axis=0)
        ranked.append(values[np.unique(np.linspace(0, len(values) - 1, _N_RANKS).round().astype(int))])
    return ranked


def _flat(arrays: Sequence[Floats]) -> NDArray[np.float32]:
    """All values of some arrays in one flat array."""
    return np.concatenate([array.ravel() for array in arrays]).astype(np.float32)
