"""Quantities that several checks need, computed once: compositions, relative energies, neighbours, descriptors."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from equisparse.data.audit.finding import Finding, Level
from equisparse.data.fingerprint import Surroundings, composition_key, surroundings
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.references import composition_matrix, least_absolute_shifts
from equisparse.data.spool import Mapped, Spool
from equisparse.quantities import ENERGY, FORCES, Quantity

_MAD_TO_SIGMA = 1.4826


class FrameSet:
    """List of frames under audit.

    Parameters
    ----------
    name : str
        ``train``, ``valid`` or ``test``.
    frames : sequence of LabelledFrame
    elements : set of int or None
        Atomic numbers that the base knows; None if unknown.
    base : mapping of Quantity to array, or None
        Predictions of the base model for these frames; per-atom arrays of all frames one after the other.
    spins : bool
        Whether the model to be trained sees spins.
    """

    def __init__(
        self,
        name: str,
        frames: Sequence[LabelledFrame],
        elements: set[int] | None,
        base: Mapping[Quantity, Floats] | None = None,
        *,
        spins: bool = False,
    ) -> None:
        self.name = name
        self.frames = frames
        self.elements = elements
        self.base = base
        self.spins = spins

    def with_base(self, base: Mapping[Quantity, Floats], frames: Sequence[LabelledFrame] | None = None) -> "FrameSet":
        """Make the same set with predictions of the base; neighbours of unchanged structures are not computed again.

        Parameters
        ----------
        base : mapping of Quantity to array
            As in `FrameSet`.
        frames : sequence of LabelledFrame, optional
            The frames in the same order, with other labels or spins.
        """
        other = FrameSet(self.name, self.frames if frames is None else frames, self.elements, base, spins=self.spins)
        known = self.__dict__.get("surroundings")  # only if they were needed
        if known is not None and other.frames is self.frames:
            other.__dict__["surroundings"] = known
        elif isinstance(known, list) and isinstance(other.frames, list):
            other.__dict__["surroundings"] = [
                around if new.atoms is old.atoms else surroundings(new)
                for new, old, around in zip(other.frames, self.frames, known, strict=True)
            ]
        return other

    def finding(
        self, level: Level, code: str, message: str, frames: Iterable[int] | NDArray[np.int64], next_step: str
    ) -> Finding:
        """Build a finding about this set; frame indices are sorted and made plain integers."""
        return Finding(level, code, message, tuple(sorted({int(i) for i in frames})), next_step, self.name)

    @cached_property
    def n_atoms(self) -> Floats:
        """Number of atoms of each frame, shape (n_frames,)."""
        return np.array([frame.n_atoms for frame in self.frames], dtype=np.float64)

    @cached_property
    def composition(self) -> tuple[Floats, tuple[int, ...]]:
        """Numbers of atoms of each element, shape (n_frames, n_elements), and the atomic numbers of the columns."""
        return composition_matrix(self.frames)

    @cached_property
    def energies(self) -> Floats:
        """Total energies, shape (n_frames,), eV; NaN where there is none."""
        return np.array([np.nan if frame.energy is None else frame.energy for frame in self.frames], dtype=np.float64)

    @cached_property
    def with_forces(self) -> list[int]:
        """Indices of the frames that have finite forces."""
        return [i for i, f in enumerate(self.frames) if f.forces is not None and np.isfinite(f.forces).all()]

    @cached_property
    def with_stress(self) -> list[int]:
        """Indices of the frames that have a finite stress."""
        return [i for i, f in enumerate(self.frames) if f.stress is not None and np.isfinite(f.stress).all()]

    @cached_property
    def largest_force(self) -> Floats:
        """Magnitude of the largest force of each frame, shape (n_frames,), eV/Angstrom; NaN where there is none."""
        largest = np.full(len(self.frames), np.nan)
        for i in self.with_forces:
            largest[i] = np.linalg.norm(forces_of(self.frames[i]), axis=1).max(initial=0.0)
        return largest

    @cached_property
    def surroundings(self) -> Sequence[Surroundings]:
        """Neighbours and descriptor of each frame; on the disk if the frames are there."""
        if isinstance(self.frames, list):
            return [surroundings(frame) for frame in self.frames]
        return Spool(map(surroundings, self.frames), _parts, _of_parts)

    @cached_property
    def nearest_range(self) -> Floats:
        """Smallest and largest distance of an atom to its nearest neighbour, shape (n_frames, 2), Angstrom."""
        nearest = [around.nearest for around in self.surroundings]
        return np.array([(values.min(initial=np.inf), values.max(initial=0.0)) for values in nearest]).reshape(-1, 2)

    @cached_property
    def symmetric(self) -> NDArray[np.bool_]:
        """Mask of the frames in which all atoms of each element have equal distances, shape (n_frames,)."""
        return np.array([around.symmetric for around in self.surroundings], dtype=np.bool_)

    @cached_property
    def descriptors(self) -> Sequence[NDArray[np.float32]]:
        """Descriptor of the geometry of each frame."""
        return Mapped(self.surroundings, lambda around: around.descriptor)

    @cached_property
    def whole_descriptors(self) -> Sequence[NDArray[np.float32]]:
        """Descriptor of geometry and magnetism of each frame."""
        return Mapped(self.surroundings, lambda around: around.whole)

    @cached_property
    def keys(self) -> list[bytes]:
        """Composition key of each frame; equal ones are one object."""
        known: dict[bytes, bytes] = {}
        return [known.setdefault(key, key) for key in map(composition_key, self.frames)]

    @cached_property
    def base_forces(self) -> list[Floats]:
        """Forces of the base for each frame, eV/Angstrom; empty without predictions."""
        if self.base is None:
            return []
        return np.split(self.base[FORCES], np.cumsum([frame.n_atoms for frame in self.frames])[:-1])

    @cached_property
    def bound(self) -> NDArray[np.bool_]:
        """Mask of the frames in which every atom has a neighbour, shape (n_frames,)."""
        return np.isfinite(self.nearest_range[:, 1])

    @cached_property
    def energy_scatter(self) -> Floats:
        """Energies per atom minus a robust fit of one energy per element, shape (n_frames,), eV; NaN where unknown."""
        return robust_scatter(self.composition[0], self.energies, self.bound)

    @cached_property
    def residual_scatter(self) -> Floats:
        """`energy_scatter` of label minus base prediction; NaN everywhere without predictions."""
        if self.base is None:
            return np.full(len(self.frames), np.nan)
        return robust_scatter(self.composition[0], self.energies - self.base[ENERGY], self.bound)


def _parts(around: Surroundings) -> tuple[object, ...]:
    """Parts of `Surroundings`, which are pickled faster than an object."""
    return around.nearest, around.descriptor, around.magnetism, around.symmetric


def _of_parts(parts: object) -> Surroundings:
    """Surroundings of their parts."""
    return Surroundings(*parts)  # type: ignore[misc]


def forces_of(frame: LabelledFrame) -> Floats:
    """Forces of a frame, shape (n_atoms, 3), eV/Angstrom; empty if it has none."""
    return np.empty((0, 3)) if frame.forces is None else frame.forces


def stress_of(frame: LabelledFrame) -> Floats:
    """Stress of a frame that has one, shape (3, 3), eV/Angstrom^3; without meaning for other frames."""
    return np.empty((3, 3)) if frame.stress is None else frame.stress


def robust_z(values: Floats, floor: float) -> Floats:
    """Difference from the median, in robust standard deviations.

    Parameters
    ----------
    values : array
        NaN values are ignored.
    floor : float
        Smallest standard deviation, in the unit of `values`. It is 1.4826 times the median absolute deviation.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.zeros_like(values)
    middle = np.median(finite)
    return np.asarray((values - middle) / max(_MAD_TO_SIGMA * float(np.median(np.abs(finite - middle))), floor))


def robust_scatter(counts: Floats, energies: Floats, usable: NDArray[np.bool_]) -> Floats:
    """Energies per atom minus one energy per element, which is fitted with least absolute deviations.

    Parameters
    ----------
    counts : array, shape (n_frames, n_elements)
        Numbers of atoms of each element.
    energies : array, shape (n_frames,)
        Total energies, eV; NaN where unknown.
    usable : array of bool, shape (n_frames,)
        Frames that take part in the fit and get a value.

    Returns
    -------
    array, shape (n_frames,)
        eV per atom; NaN for the other frames.
    """
    use = usable & np.isfinite(energies)
    scatter = np.full(len(energies), np.nan)
    if not use.any():
        return scatter
    n_atoms = counts[use].sum(axis=1)
    fractions, target = counts[use] / n_atoms[:, None], energies[use] / n_atoms
    scatter[use] = target - fractions @ least_absolute_shifts(fractions, target)
    return scatter
