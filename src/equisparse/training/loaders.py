"""Loaders of a training, and the number of its steps."""

from torch.utils.data import DataLoader

from equisparse.inference.batches import BatchLimits
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.sample import Sample
from equisparse.training.options import Rounds, TrainingOptions
from equisparse.training.processes import process_rank
from equisparse.training.rounds import in_rounds


def batch_limits(options: TrainingOptions) -> BatchLimits:
    """Largest sizes of a training batch."""
    return BatchLimits(options.batch_size, options.max_atoms, options.max_edges)


def train_loader(
    dataset: FrameDataset, options: TrainingOptions, rounds: Rounds, *, steps_done: int = 0
) -> DataLoader[Sample]:
    """Loader of the training frames of this process, one round at a time.

    Parameters
    ----------
    dataset : FrameDataset
    options : TrainingOptions
    rounds : Rounds
    steps_done : int
        Steps of a run that is resumed; the first round begins after them.

    Raises
    ------
    InputError
        If a frame has more atoms or edges than a batch may have.
    """
    loader = dataset.train_loader(
        batch_limits(options),
        seed=options.seed,
        replicas=options.processes,
        rank=process_rank(options),
        workers=options.workers,
    )
    whole_epochs = rounds.steps == _steps_per_epoch(dataset, options) and not batch_limits(options).by_work
    return loader if whole_epochs and not steps_done else in_rounds(loader, rounds.steps, steps_done)


def eval_loader(dataset: FrameDataset, options: TrainingOptions) -> DataLoader[Sample]:
    """Loader of the share of this process in validation frames."""
    return dataset.eval_loader(
        options.batch_size, replicas=options.processes, rank=process_rank(options), workers=options.workers
    )


def rounds_of(dataset: FrameDataset, options: TrainingOptions) -> Rounds:
    """Rounds of a training; batches that are bounded in atoms or edges have epochs as long as the first one.

    Raises
    ------
    InputError
        If a frame has more atoms or edges than a batch may have.
    """
    return options.rounds(_steps_per_epoch(dataset, options))


def _steps_per_epoch(dataset: FrameDataset, options: TrainingOptions) -> int:
    """Optimiser steps of an epoch, or of the first one if their numbers differ."""
    limits = batch_limits(options)
    if not limits.by_work:
        return options.steps_per_epoch(len(dataset))
    return len(dataset.work_batches(limits, seed=options.seed, replicas=options.processes))
