"""A change with a stated number of entries: train dense, prune the least useful entries step by step, train the rest.

The soft threshold shrinks what it keeps, and the size of a delta early in an Adam run says little about its use, because
every entry has moved by about the learning rate. Here nothing is shrunk, and an entry's use is what the loss would lose
without it, to second order with the squared gradient as curvature: ``dW^2 * E[g^2]`` (optimal brain damage).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from equisparse.methods import entries
from equisparse.methods.base import AbstractDelta, Controller, ParameterGroup, Stored


class PrunedDelta(AbstractDelta):
    """``W' = W + mask * dW``; starts exactly at the base.

    Parameters
    ----------
    weight : Tensor
        Base weight, any shape.
    """

    mask: Tensor
    squared_gradient: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.delta = nn.Parameter(torch.zeros_like(weight))
        self.register_buffer("mask", torch.ones_like(weight))
        self.register_buffer("squared_gradient", torch.zeros_like(weight))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.mask * self.delta

    def stored(self) -> Stored:
        return entries.pack(self.mask * self.delta)

    def groups(self) -> list[ParameterGroup]:
        return [ParameterGroup("delta", (self.delta,))]

    def saliency(self) -> Tensor:
        """Estimated loss increase of setting an entry back to the base, shape of the weight."""
        return (self.mask * self.delta.detach()) ** 2 * self.squared_gradient


class GradualPruning(Controller):
    """Prunes all deltas together to `keep` entries, on a cubic schedule (Zhu and Gupta, arXiv 1710.01878).

    Parameters
    ----------
    deltas : sequence of PrunedDelta
        Ranked against one another.
    keep : int
        Number of entries that remain.
    start, end : float
        Fraction of the run where pruning begins and where `keep` is reached.
    interval : int
        Steps between two prunings.
    memory : float
        Decay of the running mean of squared gradients.
    """

    def __init__(
        self, deltas: Sequence[PrunedDelta], keep: int, *, start: float, end: float, interval: int, memory: float = 0.99
    ) -> None:
        self._deltas, self._keep, self._memory = deltas, keep, memory
        self._start, self._end, self._interval = start, end, interval

    def before_step(self, step: int, total: int) -> None:
        for delta in self._deltas:
            if delta.delta.grad is not None:
                delta.squared_gradient.lerp_(delta.delta.grad.square(), 1 - self._memory)

    def after_step(self, step: int, total: int) -> None:
        first, last = int(self._start * total), int(self._end * total)
        if first <= step <= last and ((step - first) % self._interval == 0 or step == last):
            self._prune_to(self._size_at((step - first) / max(last - first, 1)))

    def ready(self, step: int, total: int) -> bool:
        return step > int(self._end * total)

    def _size_at(self, progress: float) -> int:
        """Entries kept when a fraction `progress` of the pruning is over."""
        everything = sum(delta.mask.numel() for delta in self._deltas)
        return self._keep + round((everything - self._keep) * (1 - progress) ** 3)

    @torch.no_grad()
    def _prune_to(self, size: int) -> None:
        """Keep the `size` entries of largest saliency."""
        saliency = torch.cat([delta.saliency().reshape(-1) for delta in self._deltas])
        kept = torch.zeros_like(saliency)
        kept[torch.topk(saliency, size).indices] = 1
        sizes = [delta.mask.numel() for delta in self._deltas]
        for delta, mask in zip(self._deltas, kept.split(sizes), strict=True):
            delta.mask.mul_(mask.reshape(delta.mask.shape))
            delta.delta.mul_(delta.mask)
