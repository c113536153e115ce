"""Batches of frames: in a shuffled order, or bounded in atoms and edges with nearly equal work for every process."""

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from equisparse.errors import InputError
from equisparse.inference.sample import Sample
from equisparse.wording import agreeing, counted

_WINDOW = 50


@dataclass(frozen=True)
class BatchLimits:
    """Largest sizes of a batch.

    Parameters
    ----------
    frames : int
    atoms, edges : int, optional
        No limit if None.
    """

    frames: int
    atoms: int | None = None
    edges: int | None = None

    @property
    def by_work(self) -> bool:
        """True if atoms or edges are limited."""
        return self.atoms is not None or self.edges is not None


class WorkBatches(Sampler[list[int]]):
    """Batches that are bounded in frames, atoms and edges; the order depends only on the seed and the epoch.

    Frames are shuffled, sorted by size within windows of about 50 batches, and filled into batches. The batches that
    the processes take in the same step are neighbours in size. The order of the steps is shuffled again.

    Parameters
    ----------
    atoms, edges : array of int, shape (n_frames,)
        Sizes of the frames; `edges` is not used without its limit.
    limits : BatchLimits
    seed : int
    replicas, rank : int
        Number of processes, and index of this one.

    Raises
    ------
    InputError
        If a single frame exceeds a limit.
    """

    def __init__(
        self,
        atoms: NDArray[np.int64],
        edges: NDArray[np.int64] | None,
        limits: BatchLimits,
        *,
        seed: int,
        replicas: int = 1,
        rank: int = 0,
    ) -> None:
        self._atoms, self._edges = atoms, np.zeros_like(atoms) if edges is None else edges
        self._limits, self._seed, self._replicas, self._rank = limits, seed, replicas, rank
        self._epoch = 0
        for name, sizes, most in (("atoms", self._atoms, limits.atoms), ("edges", self._edges, limits.edges)):
            if most is not None and sizes.max(initial=0) > most:
                raise _too_large(name, sizes, most)

    @property
    def sampler(self) -> "WorkBatches":
        """Itself: Lightning looks here for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch whose order is given next."""
        self._epoch = epoch

    def steps(self, epoch: int) -> list[list[list[int]]]:
        """Batches of all processes in each step of an epoch."""
        generator = np.random.default_rng((self._seed, epoch))
        order = generator.permutation(len(self._atoms))
        window = _WINDOW * self._limits.frames * self._replicas
        batches: list[list[int]] = []
        for first in range(0, len(order), window):
            batches += self._filled(order[first : first + window])
        missing = -len(batches) % self._replicas
        batches += [[] for _ in range(missing)]  # every process takes every step
        steps = [batches[first : first + self._replicas] for first in range(0, len(batches), self._replicas)]
        return [steps[index] for index in generator.permutation(len(steps))]

    def __iter__(self) -> Iterator[list[int]]:
        return iter([batches[self._rank] for batches in self.steps(self._epoch)])

    def __len__(self) -> int:
        return len(self.steps(self._epoch))

    def _filled(self, frames: NDArray[np.int64]) -> Iterator[list[int]]:
        """Batches of some frames, sorted by size, as full as the limits allow."""
        work = self._atoms if self._limits.edges is None else self._edges
        batch: list[int] = []
        for frame in frames[np.argsort(work[frames], kind="stable")].tolist():
            if batch and not self._fits([*batch, frame]):
                yield batch
                batch = []
            batch.append(frame)
        if batch:
            yield batch

    def _fits(self, batch: Sequence[int]) -> bool:
        """Return whether a batch is within all limits."""
        limits = self._limits
        return (
            len(batch) <= limits.frames
            and (limits.atoms is None or self._atoms[batch].sum() <= limits.atoms)
            and (limits.edges is None or self._edges[batch].sum() <= limits.edges)
        )


def packed(samples: Sequence[Sample]) -> bytes:
    """Batch of a loader process as bytes: tensors one by one would need a file descriptor each."""
    return pickle.dumps(list(samples), protocol=5)


def unpacked(batch: Sequence[Sample] | bytes) -> Sequence[Sample]:
    """Samples of a batch of a loader, whether a loader process packed it or not."""
    return pickle.loads(batch) if isinstance(batch, bytes) else batch  # noqa: S301  our own bytes


def _too_large(name: str, sizes: NDArray[np.int64], most: int) -> InputError:
    """Error for a frame that no batch can hold."""
    above = int((sizes > most).sum())
    larger = f"{above:,} of {counted(len(sizes), 'frame')} {agreeing(above, 'is', 'are')} larger"
    return InputError(
        f"A frame has more {name} than a batch may have.",
        given=f"--max-{name} {most}; {larger}, the largest has {sizes.max()} {name} "
        f"(training frame {int(sizes.argmax())})",
        expected=f"at least {sizes.max()}",
        next_step=f"raise --max-{name}, or remove these frames",
    )
