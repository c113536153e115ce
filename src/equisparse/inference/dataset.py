"""Frames as graphs with labels, collated to batches."""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
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
from equisparse.data.spool import Mapped, selected
from equisparse.inference.batches import BatchLimits, WorkBatches, packed
from equisparse.inference.batching import SharedBatches
from equisparse.inference.graphs import Budget, Graphs
from equisparse.inference.pinned import moved, pinned
from equisparse.inference.sample import Sample
from equisparse.quantities import ENERGY, STRESS, Quantity, all_quantities

_BLOCK = 1000


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
        In memory, or read by index from a disk.
    shifts : mapping of int to float
        Atomic number -> eV, subtracted from the energy labels.
    budget : Budget, optional
        Memory for graphs; those that do not fit are built each time they are needed. No limit by default.

    Raises
    ------
    DataError
        If a frame is periodic in a direction without a cell vector.
    """

    def __init__(
        self,
        backbone: Predictor,
        frames: Sequence[LabelledFrame],
        shifts: Mapping[int, float],
        budget: Budget | None = None,
    ) -> None:
        sizes = array("q")
        for frame in frames:
            check_lattice(frame.atoms, f"{frame.source}, frame {frame.index}")
            sizes.append(frame.n_atoms)
        graphs = Graphs(backbone, frames, budget or Budget())
        self._set(frames, shifts, graphs, np.arange(len(frames)), np.array(sizes, dtype=np.int64))

    @property
    def n_atoms(self) -> NDArray[np.int64]:
        """Number of atoms of every frame, shape (n_frames,)."""
        return self._sizes

    @cached_property
    def n_edges(self) -> NDArray[np.int64]:
        """Number of edges of every frame, shape (n_frames,); graphs that are not kept are built for it."""
        return np.array([self._graphs.edges(int(place)) for place in self._places], dtype=np.int64)

    def with_shifts(self, shifts: Mapping[int, float]) -> "FrameDataset":
        """Data set of the same frames and graphs with other shifts."""
        return self._with(self.frames, shifts, self._places)

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
        return self._with(frames, {}, self._places)

    def part(self, indices: Sequence[int]) -> "FrameDataset":
        """Data set of the frames with these indices, in this order."""
        return self._with(selected(self.frames, indices), self.shifts, self._places[list(indices)])

    def bootstrapped(self, seed: int) -> "FrameDataset":
        """Data set of as many frames, drawn with replacement."""
        drawn = np.random.default_rng(seed).integers(len(self), size=len(self))
        return self.part(np.sort(drawn).tolist())

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        sample = self._made.get(index)
        if sample is None:
            frame, place = self.frames[index], int(self._places[index])
            sample = replace(self._labelled(frame), graph=self._graphs.graph(place, frame))
            if self._graphs.keeps(place):
                self._made[index] = sample
        return sample

    def labels(self) -> dict[Quantity, Floats]:
        """Labels of all frames, concatenated; NaN for frames without a label."""
        return join_labels(Mapped(self.frames, self._labelled))

    def batches(self, size: int) -> Iterator[list[Sample]]:
        """Iterate over all samples in order, `size` at a time."""
        for first in range(0, len(self), size):
            yield [self[index] for index in range(first, min(first + size, len(self)))]

    def train_loader(
        self, limits: BatchLimits, *, seed: int, replicas: int = 1, rank: int = 0, workers: int = 0
    ) -> DataLoader[Sample]:
        """Loader of shuffled batches of samples; the order depends only on the seed and the epoch.

        Parameters
        ----------
        limits : BatchLimits
        seed : int
        replicas, rank : int
            Number of processes of the training, and index of this one.
        workers : int
            Processes that build graphs; their batches have to be unpacked by `equisparse.inference.batches.unpacked`.
        """
        if limits.by_work:
            by_work = self.work_batches(limits, seed=seed, replicas=replicas, rank=rank)
            return DataLoader(self, batch_sampler=by_work, **_workers(workers))
        order: DistributedSampler[Sample] = DistributedSampler(self, 1, 0, shuffle=True, seed=seed)
        batches = SharedBatches(order, limits.frames, replicas=replicas, rank=rank)  # type: ignore[arg-type]
        return DataLoader(self, batch_sampler=batches, **_workers(workers))

    def work_batches(self, limits: BatchLimits, *, seed: int, replicas: int = 1, rank: int = 0) -> WorkBatches:
        """Batches that are bounded in atoms or edges."""
        edges = None if limits.edges is None else self.n_edges
        return WorkBatches(self.n_atoms, edges, limits, seed=seed, replicas=replicas, rank=rank)

    def eval_loader(self, size: int, *, replicas: int = 1, rank: int = 0, workers: int = 0) -> DataLoader[Sample]:
        """Loader of batches in order, as `train_loader` gives them; every process gets its own share."""
        batches = SharedBatches(SequentialSampler(self), size, replicas=replicas, rank=rank)
        return DataLoader(self, batch_sampler=batches, **_workers(workers))

    def _labelled(self, frame: LabelledFrame) -> Sample:
        """Sample without a graph."""
        return Sample(None, _labels(frame, self.shifts), frame.n_atoms, has_stress(frame.atoms), frame.weights)

    def _with(
        self, frames: Sequence[LabelledFrame], shifts: Mapping[int, float], places: NDArray[np.int64]
    ) -> "FrameDataset":
        """Data set of frames whose graphs are at some places of those of this one."""
        dataset = object.__new__(FrameDataset)
        sizes = self._sizes if places is self._places else np.array([frame.n_atoms for frame in frames], dtype=np.int64)
        dataset._set(frames, shifts, self._graphs, places, sizes)
        return dataset

    def _set(
        self,
        frames: Sequence[LabelledFrame],
        shifts: Mapping[int, float],
        graphs: Graphs,
        places: NDArray[np.int64],
        sizes: NDArray[np.int64],
    ) -> None:
        """Set all attributes; samples are made when they are needed, and kept if their graphs are."""
        self.frames, self.shifts = frames, dict(shifts)
        self._graphs, self._places, self._sizes = graphs, places, sizes
        self._made: dict[int, Sample] = {}


def reference_energy(atoms: Atoms, shifts: Mapping[int, float]) -> float:
    """Sum of the shifts over the atoms, eV, in float64."""
    numbers, counts = np.unique(atoms.numbers, return_counts=True)
    return float(sum(shifts.get(int(z), 0.0) * int(n) for z, n in zip(numbers, counts, strict=True)))


def collate(backbone: Predictor, samples: Sequence[Sample]) -> Batch:
    """Collate samples: graphs in the form that the backbone expects, labels on its device and in its precision."""
    device, dtype = backbone.device, backbone.dtype
    labels = {q: moved(torch.from_numpy(values).to(dtype), device) for q, values in join_labels(samples).items()}
    n_atoms = moved(torch.tensor([sample.n_atoms for sample in samples]), device)
    weights = {q: moved(torch.tensor(values, dtype=dtype), device) for q, values in _join_weights(samples).items()}
    graphs = backbone.collate([sample.graph for sample in samples])
    return Batch(pinned(graphs, device), labels, n_atoms, weights)


def join_labels(frames: Sequence[LabelledFrame | Sample]) -> dict[Quantity, Floats]:
    """Concatenate the labels of frames, for every quantity that any of them has; NaN for frames without a label."""
    present = {quantity for frame in frames for quantity in frame.labels}
    wanted = [quantity for quantity in all_quantities() if quantity in present]
    pieces: dict[Quantity, list[Floats]] = {quantity: [] for quantity in wanted}
    block: list[LabelledFrame | Sample] = []
    for index, frame in enumerate(frames, 1):
        block.append(frame)
        if len(block) == _BLOCK or index == len(frames):
            for quantity in wanted:
                pieces[quantity].append(_joined(quantity, block))
            block = []
    return {quantity: np.concatenate(blocks) for quantity, blocks in pieces.items()}


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


def _workers(count: int) -> dict[str, Any]:
    """Arguments of a loader for its number of processes."""
    if not count:
        return {"collate_fn": list}
    return {
        "collate_fn": packed,
        "num_workers": count,
        "persistent_workers": True,
        "multiprocessing_context": "fork",  # processes share the frames, and need not import everything again
    }


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
