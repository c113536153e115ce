"""Frames as graphs with labels, built once and collated many times."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from equisparse.backbones.base import Predictor
from equisparse.data.frames import LabelledFrame


@dataclass(frozen=True)
class Targets:
    """Labels of a batch; NaN where there is none.

    Parameters
    ----------
    energy : Tensor, shape (n_frames,), eV
        Total energy less the shift of the reference energies: what the base model is to predict.
    forces : Tensor, shape (n_atoms, 3), eV/Angstrom
    stress : Tensor, shape (n_frames, 3, 3), eV/Angstrom^3
    n_atoms : Tensor, shape (n_frames,), int64
    moments : Tensor, shape (n_atoms, 3), muB, or None
    magnetic_forces : Tensor, shape (n_atoms, 3), eV/muB, or None
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor
    n_atoms: Tensor
    moments: Tensor | None = None
    magnetic_forces: Tensor | None = None

    def to(self, device: torch.device) -> "Targets":
        """On another device."""
        return Targets(**{name: tensor.to(device) for name, tensor in vars(self).items() if tensor is not None})


@dataclass(frozen=True)
class Sample:
    """One frame: the backbone's graph, and its labels as float64 arrays."""

    graph: Any
    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64]
    moments: NDArray[np.float64]
    magnetic_forces: NDArray[np.float64]


class FrameDataset(Dataset[Sample]):
    """Frames of one split.

    Parameters
    ----------
    backbone : Predictor
        Builds the graphs.
    frames : sequence of LabelledFrame
    shifts : mapping of int to float
        Atomic number -> eV, taken off the labelled energies.
    """

    def __init__(self, backbone: Predictor, frames: Sequence[LabelledFrame], shifts: dict[int, float]) -> None:
        self.frames = list(frames)
        self.shifts = dict(shifts)
        self._samples = [_sample(backbone, frame, shifts) for frame in self.frames]

    def reference_energy(self, number: int) -> float:
        """Sum of the shifts over the atoms of one frame, eV."""
        return reference_energy(self.frames[number].atoms, self.shifts)

    def with_shifts(self, shifts: dict[int, float]) -> "FrameDataset":
        """The same frames and graphs with other shifts."""
        samples = [
            replace(sample, energy=_residual(frame, shifts))
            for frame, sample in zip(self.frames, self._samples, strict=True)
        ]
        return self._with(self.frames, samples, shifts)

    def part(self, numbers: Sequence[int]) -> "FrameDataset":
        """The frames of these numbers, in this order, with their graphs."""
        return self._with([self.frames[i] for i in numbers], [self._samples[i] for i in numbers], self.shifts)

    def bootstrapped(self, seed: int) -> "FrameDataset":
        """As many frames drawn with replacement."""
        drawn = np.random.default_rng(seed).integers(len(self), size=len(self))
        return self.part(np.sort(drawn).tolist())

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, number: int) -> Sample:
        return self._samples[number]

    def labels(self) -> Targets:
        """Labels of all frames, in float64."""
        return targets_of(self._samples, torch.float64)

    def samples(self, size: int) -> Iterator[list[Sample]]:
        """All samples in order, `size` at a time."""
        for first in range(0, len(self), size):
            yield self._samples[first : first + size]

    def batches(self, backbone: Predictor, size: int) -> Iterator[tuple[Any, Targets]]:
        """All samples in order, collated."""
        for samples in self.samples(size):
            yield collate(backbone, samples)

    def train_loader(self, size: int, *, seed: int, replicas: int = 1, rank: int = 0) -> DataLoader[Sample]:
        """Shuffled batches, not collated yet; the order depends on the seed and the epoch alone."""
        sampler: DistributedSampler[Sample] = DistributedSampler(self, replicas, rank, shuffle=True, seed=seed)
        return DataLoader(self, size, sampler=sampler, collate_fn=list)

    def eval_loader(self, size: int, *, replicas: int = 1, rank: int = 0) -> DataLoader[Sample]:
        """Batches in order, not collated yet; every process sees its own share."""
        return DataLoader(self, size, sampler=list(range(rank, len(self), replicas)), collate_fn=list)

    @classmethod
    def _with(
        cls, frames: Sequence[LabelledFrame], samples: Sequence[Sample], shifts: dict[int, float]
    ) -> "FrameDataset":
        """A data set of samples that are there already."""
        made = object.__new__(cls)
        made.frames, made.shifts, made._samples = list(frames), dict(shifts), list(samples)
        return made


def reference_energy(atoms: Atoms, shifts: dict[int, float]) -> float:
    """Sum of the shifts over the atoms, eV, in float64."""
    numbers, counts = np.unique(atoms.numbers, return_counts=True)
    return float(sum(shifts.get(int(z), 0.0) * int(n) for z, n in zip(numbers, counts, strict=True)))


def collate(backbone: Predictor, samples: Sequence[Sample]) -> tuple[Any, Targets]:
    """Batch of the backbone, and the targets."""
    return backbone.collate([sample.graph for sample in samples]), targets_of(samples, backbone.dtype)


def targets_of(samples: Sequence[Sample], dtype: torch.dtype) -> Targets:
    """Labels of a batch in a precision."""
    per_atom = {
        name: torch.from_numpy(np.concatenate([getattr(sample, name) for sample in samples])).to(dtype)
        for name in ("forces", "moments", "magnetic_forces")
    }
    return Targets(
        energy=torch.tensor([sample.energy for sample in samples], dtype=dtype),
        stress=torch.from_numpy(np.stack([sample.stress for sample in samples])).to(dtype),
        n_atoms=torch.tensor([len(sample.forces) for sample in samples]),
        **per_atom,
    )


def _sample(backbone: Predictor, frame: LabelledFrame, shifts: dict[int, float]) -> Sample:
    """Graph and labels of one frame."""
    per_atom = (len(frame.atoms), 3)
    return Sample(
        graph=backbone.graph(frame.atoms),
        energy=_residual(frame, shifts),
        forces=_or_nan(frame.forces, per_atom),
        stress=_or_nan(frame.stress, (3, 3)),
        moments=_or_nan(frame.moments, per_atom),
        magnetic_forces=_or_nan(frame.magnetic_forces, per_atom),
    )


def _or_nan(label: NDArray[np.float64] | None, shape: tuple[int, int]) -> NDArray[np.float64]:
    """A label, or NaN of its shape."""
    return np.full(shape, np.nan) if label is None else np.asarray(label, dtype=np.float64)


def _residual(frame: LabelledFrame, shifts: dict[int, float]) -> float:
    """Labelled energy less the shifts, eV; NaN without a label."""
    return float("nan") if frame.energy is None else float(frame.energy - reference_energy(frame.atoms, shifts))
