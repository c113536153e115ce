"""Rounds of a training: the steps between two validations, which may be less or more than an epoch."""

from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from torch.utils.data import DataLoader, Sampler

from equisparse.inference.sample import Sample


class _Order(Protocol):
    """Order of the frames that depends on the epoch."""

    def set_epoch(self, epoch: int) -> None: ...


class _Batches(Protocol):
    """Batches of one epoch."""

    @property
    def sampler(self) -> _Order: ...

    def __iter__(self) -> Iterator[list[int]]: ...

    def __len__(self) -> int: ...


class RoundBatches(Sampler[list[int]]):
    """Batches of one round: a part of the endless sequence of the batches of epoch 0, 1 and so on.

    Parameters
    ----------
    batches
        Batches of one epoch, whose `sampler` takes the epoch.
    steps : int
        Batches per round.
    done : int
        Batches of the whole sequence that a resumed run has used; the first round given is what is left of theirs.
    """

    def __init__(self, batches: _Batches, steps: int, done: int = 0) -> None:
        self._batches, self._steps = batches, steps
        self._round, self._done = divmod(done, steps)  # a loader with processes reads before it is told the round

    @property
    def sampler(self) -> "RoundBatches":
        """Itself: Lightning looks here for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Set the round, from 0, whose batches are given next."""
        if epoch != self._round:
            self._round, self._done = epoch, 0

    def __iter__(self) -> Iterator[list[int]]:
        return islice(self._from(self._round * self._steps + self._done), self._steps - self._done)

    def __len__(self) -> int:
        return self._steps

    def _from(self, first: int) -> Iterator[list[int]]:
        """Batches of all epochs in order, without the first ones."""
        epoch = 0
        while True:
            self._batches.sampler.set_epoch(epoch)
            here = len(self._batches)
            if first < here:
                yield from islice(self._batches, first, None)
            first, epoch = max(0, first - here), epoch + 1


def in_rounds(loader: DataLoader[Sample], steps: int, done: int = 0) -> DataLoader[Sample]:
    """Loader of rounds of a number of steps, from one of epochs; see `RoundBatches`."""
    return DataLoader(
        loader.dataset,
        batch_sampler=RoundBatches(loader.batch_sampler, steps, done),  # type: ignore[arg-type]
        collate_fn=loader.collate_fn,
        num_workers=loader.num_workers,
        pin_memory=loader.pin_memory,
        persistent_workers=loader.persistent_workers,
        multiprocessing_context=loader.multiprocessing_context,
    )
