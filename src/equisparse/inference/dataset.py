"""Frames as graphs with labels, built once and collated many times."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, SequentialSampler

from equisparse.backbones.base import Predictor
from equisparse.data.frames import Floats, LabelledFrame, has_stress
from equisparse.data.lattice import check_lattice
from equisparse.inference.batching import SharedBatches
from equisparse.quantities import ENERGY, STRESS, Quantity, all_quantities


@dataclass(frozen=True, eq=False)
class Sample:
    """One frame as input of a model.

    Parameters
    ----------
    graph
        Result of `Predictor.graph`.
    labels : mapping of Quantity to array
        Labels of the frame, float64; the shifts of the reference energies are subtracted from the energy.
    n_atoms : int
    has_stress : bool
        Whether the frame has a stress; see `equisparse.data.frames.has_stress`.
    weights : mapping of Quantity to float
        Weights in the loss that are not 1.
    """

    graph: Any
    labels: Mapping[Quantity, Floats]
    n_atoms: int
    has_stress: bool
    weights: Mapping[Quantity, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Batch:
    r"""Batch of frames.

    Parameters
    ----------
    graphs
        Result of `Predictor.collate`; it can be used for one prediction only.
    labels : dict of Quantity to Tensor, shape (n_frames, \...) or (n_atoms, \...)
        Labels of every quantity that any of the frames has; NaN for frames without a label.
    n_atoms : Tensor, shape (n_frames,), int64
    weights : dict of Quantity to Tensor, shape (n_frames,)
        Weights of the frames in the loss, for quantities with another weight than 1 in any frame.
    """

    graphs: Any
    labels: dict[Quantity, Tensor]
    n_atoms: Tensor
    weights: dict[Quantity, Tensor] = field(default_factory=dict)


class FrameDataset(Dataset[Sample]):
    """Frames of one split.

    Parameters
    ----------
    backbone : Predictor
        Builds the graphs.
    frames : sequence of LabelledFrame
    shifts : mapping of int to float
        Atomic number -> eV, subtracted from the energy labels.

    Raises
    ------
    DataError
        If a frame is periodic in a direction without a cell vector.
    """

    def __init__(self, backbone: Predictor, frames: Sequence[LabelledFrame], shifts: Mapping[int, float]) -> None:
        self.frames = list(frames)
        self.shifts = dict(shifts)
        for frame in self.frames:
            check_lattice(frame.atoms, f"{frame.source}, frame {frame.index}")
        self._samples = [
            Sample(
                backbone.graph(frame.atoms),
                _labels(frame, shifts),
                frame.n_atoms,
                has_stress(frame.atoms),
                frame.weights,
            )
            for frame in self.frames
        ]

    @property
    def n_atoms(self) -> NDArray[np.int64]:
        """Number of atoms of every frame, shape (n_frames,)."""
        return np.array([sample.n_atoms for sample in self._samples], dtype=np.int64)

    def with_shifts(self, shifts: Mapping[int, float]) -> "FrameDataset":
        """Data set of the same frames and graphs with other shifts."""
        samples = [
            replace(sample, labels=_labels(frame, shifts))
            for frame, sample in zip(self.frames, self._samples, strict=True)
        ]
        return self._with(self.frames, samples, shifts)

    def with_labels(self, labels: Mapping[Quantity, Floats]) -> "FrameDataset":
        """Data set of the same structures and graphs with only these labels, and no shifts and weights.

        Parameters
        ----------
        labels : mapping of Quantity to array
            Labels in the form of the result of `equisparse.inference.predict.evaluate`.
        """
        frames = [
            replace(frame, labels=_usable(frame.atoms, frame_labels), weights={})
            for frame, frame_labels in zip(self.frames, by_frame(labels, self.n_atoms), strict=True)
        ]
        samples = [
            replace(sample, labels=frame.labels, weights={})
            for frame, sample in zip(frames, self._samples, strict=True)
        ]
        return self._with(frames, samples, {})

    def part(self, indices: Sequence[int]) -> "FrameDataset":
        """Data set of the frames with these indices, in this order."""
        return self._with([self.frames[i] for i in indices], [self._samples[i] for i in indices], self.shifts)

    def bootstrapped(self, seed: int) -> "FrameDataset":
        """Data set of as many frames, drawn with replacement."""
        drawn = np.random.default_rng(seed).integers(len(self), size=len(self))
        return self.part(np.sort(drawn).tolist())

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]

    def labels(self) -> dict[Quantity, Floats]:
        """Labels of all frames, concatenated; NaN for frames without a label."""
        return join_labels(self._samples)

    def batches(self, size: int) -> Iterator[list[Sample]]:
        """Iterate over all samples in order, `size` at a time."""
        for first in range(0, len(self), size):
            yield self._samples[first : first + size]

    def train_loader(self, size: int, *, seed: int, replicas: int = 1, rank: int = 0) -> DataLoader[Sample]:
        """Loader of shuffled batches, as lists of samples; the order depends only on the seed and the epoch."""
        order: DistributedSampler[Sample] = DistributedSampler(self, 1, 0, shuffle=True, seed=seed)
        batches = SharedBatches(order, size, replicas=replicas, rank=rank)  # type: ignore[arg-type]
        return DataLoader(self, batch_sampler=batches, collate_fn=list)

    def eval_loader(self, size: int, *, replicas: int = 1, rank: int = 0) -> DataLoader[Sample]:
        """Loader of batches in order, as lists of samples; every process gets its own share."""
        batches = SharedBatches(SequentialSampler(self), size, replicas=replicas, rank=rank)
        return DataLoader(self, batch_sampler=batches, collate_fn=list)

    @classmethod
    def _with(
        cls, frames: Sequence[LabelledFrame], samples: Sequence[Sample], shifts: Mapping[int, float]
    ) -> "FrameDataset":
        """Data set of existing samples."""
        dataset = object.__new__(cls)
        dataset.frames, dataset.shifts, dataset._samples = list(frames), dict(shifts), list(samples)
        return dataset


def reference_energy(atoms: Atoms, shifts: Mapping[int, float]) -> float:
    """Sum of the shifts over the atoms, eV, in float64."""
    numbers, counts = np.unique(atoms.numbers, return_counts=True)
    return float(sum(shifts.get(int(z), 0.0) * int(n) for z, n in zip(numbers, counts, strict=True)))


def collate(backbone: Predictor, samples: Sequence[Sample]) -> Batch:
    """Collate samples: graphs in the form that the backbone expects, labels on its device and in its precision."""
    labels = {
        quantity: torch.from_numpy(values).to(backbone.dtype).to(backbone.device)
        for quantity, values in join_labels(samples).items()
    }
    n_atoms = torch.tensor([sample.n_atoms for sample in samples], device=backbone.device)
    weights = {
        quantity: torch.tensor(values, dtype=backbone.dtype, device=backbone.device)
        for quantity, values in _join_weights(samples).items()
    }
    return Batch(backbone.collate([sample.graph for sample in samples]), labels, n_atoms, weights)


def join_labels(frames: Sequence[LabelledFrame | Sample]) -> dict[Quantity, Floats]:
    """Concatenate the labels of frames, for every quantity that any of them has; NaN for frames without a label."""
    present = {quantity for frame in frames for quantity in frame.labels}
    return {quantity: _joined(quantity, frames) for quantity in all_quantities() if quantity in present}


def _join_weights(samples: Sequence[Sample]) -> dict[Quantity, list[float]]:
    """Weights of all frames, for every quantity with another weight than 1 in any of them."""
    present = {quantity for sample in samples for quantity in sample.weights}
    return {q: [sample.weights.get(q, 1.0) for sample in samples] for q in all_quantities() if q in present}


def count_labels(samples: Iterable[Sample]) -> dict[Quantity, int]:
    """Count the finite label components of frames, by quantity."""
    counts: dict[Quantity, int] = {}
    for sample in samples:
        for quantity, label in sample.labels.items():
            counts[quantity] = counts.get(quantity, 0) + int(np.isfinite(label).sum())
    return counts


def by_frame(values: Mapping[Quantity, Floats], n_atoms: NDArray[np.int64]) -> list[dict[Quantity, Floats]]:
    r"""Split concatenated values into those of each frame.

    Parameters
    ----------
    values : mapping of Quantity to array, shape (n_frames, \...) or (n_all_atoms, \...)
    n_atoms : array of int, shape (n_frames,)
    """
    ends = np.cumsum(n_atoms)[:-1]
    pieces: dict[Quantity, Sequence[Floats]] = {
        quantity: np.split(array, ends) if quantity.per == "atom" else list(array) for quantity, array in values.items()
    }
    return [{q: np.asarray(values[frame]) for q, values in pieces.items()} for frame in range(len(n_atoms))]


def _labels(frame: LabelledFrame, shifts: Mapping[int, float]) -> dict[Quantity, Floats]:
    """Labels for training; the shifts are subtracted from the energy."""
    labels = _usable(frame.atoms, frame.labels)
    if ENERGY in labels:
        labels[ENERGY] = np.asarray(labels[ENERGY] - reference_energy(frame.atoms, shifts))
    return labels


def _usable(atoms: Atoms, labels: Mapping[Quantity, Floats]) -> dict[Quantity, Floats]:
    """Labels as float64 arrays, without the stress if `has_stress` is false."""
    keeps_stress = has_stress(atoms)
    return {
        quantity: np.asarray(label, dtype=np.float64)
        for quantity, label in labels.items()
        if keeps_stress or quantity != STRESS
    }


def _joined(quantity: Quantity, frames: Sequence[LabelledFrame | Sample]) -> Floats:
    r"""Labels of one quantity, shape (n_frames, ...) or (n_atoms, ...)."""
    labels = []
    for frame in frames:
        shape = quantity.shape if quantity.per == "frame" else (frame.n_atoms, *quantity.shape)
        labels.append(frame.labels.get(quantity, np.full(shape, np.nan)))
    return np.concatenate(labels) if quantity.per == "atom" else np.stack(labels)
