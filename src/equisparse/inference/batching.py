"""Batches of several processes: those of one process with a batch as large as all of theirs, shared out."""

from collections.abc import Iterator

from torch.utils.data import BatchSampler, Sampler


class SharedBatches(BatchSampler):
    """Indices of one process's share of every batch; together, the processes use every frame exactly once.

    Where the frames run out, the last batch is smaller, and the share of a process may be empty.

    Parameters
    ----------
    order : Sampler
        Indices of all frames, in the same order in every process.
    size : int
        Frames per batch and process.
    replicas : int
        Number of processes.
    rank : int
        Index of this process.
    """

    def __init__(self, order: Sampler[int], size: int, *, replicas: int = 1, rank: int = 0) -> None:
        super().__init__(order, size * replicas, drop_last=False)
        self._replicas, self._rank = replicas, rank

    def __iter__(self) -> Iterator[list[int]]:
        for batch in super().__iter__():
            yield batch[self._rank :: self._replicas]
