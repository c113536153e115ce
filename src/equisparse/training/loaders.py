"""Loaders of a training, and the number of its steps."""

from torch.utils.data import DataLoader

from equisparse.inference.batches import BatchLimits
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.sample import Sample
from equisparse.training.options import TrainingOptions
from equisparse.training.processes import process_rank


def batch_limits(options: TrainingOptions) -> BatchLimits:
    """Largest sizes of a training batch."""
    return BatchLimits(options.batch_size, options.max_atoms, options.max_edges)


def train_loader(dataset: FrameDataset, options: TrainingOptions) -> DataLoader[Sample]:
    """Loader of the training frames of this process.

    Raises
    ------
    InputError
        If a frame has more atoms or edges than a batch may have.
    """
    return dataset.train_loader(
        batch_limits(options),
        seed=options.seed,
        replicas=options.processes,
        rank=process_rank(options),
        workers=options.workers,
    )


def eval_loader(dataset: FrameDataset, options: TrainingOptions) -> DataLoader[Sample]:
    """Loader of the share of this process in validation frames."""
    return dataset.eval_loader(
        options.batch_size, replicas=options.processes, rank=process_rank(options), workers=options.workers
    )


def total_steps(dataset: FrameDataset, options: TrainingOptions) -> int:
    """Optimiser steps of a training.

    Raises
    ------
    InputError
        If a frame has more atoms or edges than a batch may have.
    """
    limits, epochs = batch_limits(options), options.epochs or 0
    if not limits.by_work:
        return options.steps_per_epoch(len(dataset)) * epochs
    return dataset.work_batches(limits, seed=options.seed, replicas=options.processes).total(epochs)
