"""A change with a stated number of entries: train dense, prune the least useful entries step by step, train the rest.

The soft threshold shrinks what it keeps, and the size of a delta early in an Adam run says little about its use: every
entry has moved by about the learning rate. Here nothing is shrunk, and an entry's use is what the loss would lose
without it, to second order with the squared gradient as curvature: ``dW^2 * E[g^2]`` (optimal brain damage).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from equisparse.blocks import Block
from equisparse.methods import entries
from equisparse.methods.base import AbstractDelta, Controller, ParameterGroup, Stored
from equisparse.methods.matrices import matrices_of_blocks


class PrunedDelta(AbstractDelta):
    """``W' = W + dW`` with dW kept at zero outside of a mask; starts exactly at the base.

    The learning rate is relative to the root mean square of the weight where that is below one, so that tensors of
    small weights move as far, for their size, as others.

    Parameters
    ----------
    weight : Tensor
        Base weight, any shape.
    blocks : tuple of Block
        Tile the weight.
    storage : torch.dtype or None
        Of the stored values; that of the weight if None.
    """

    mask: Tensor
    squared_gradient: Tensor

    def __init__(self, weight: Tensor, blocks: tuple[Block, ...], storage: torch.dtype | None) -> None:
        super().__init__()
        self.delta = nn.Parameter(torch.zeros_like(weight))
        self._storage, self._matrices = storage, matrices_of_blocks(blocks)
        self.register_buffer("mask", torch.ones_like(weight))
        self.register_buffer("squared_gradient", torch.zeros_like(weight))
        self._size = min(1.0, float(weight.double().square().mean().sqrt()))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.delta

    def stored(self) -> Stored:
        return entries.pack(self.delta, self._storage)

    def groups(self) -> list[ParameterGroup]:
        return [ParameterGroup("delta", (self.delta,), lr_factor=self._size, matrices={self.delta: self._matrices})]

    def saliency(self) -> Tensor:
        """Estimated loss increase of setting an entry back to the base, shape of the weight."""
        return self.delta.detach() ** 2 * self.squared_gradient

    @torch.no_grad()
    def observe_gradient(self, memory: float) -> None:
        """Take the present gradient into the running mean square, and leave of it only what the mask lets through."""
        if self.delta.grad is not None:
            self.delta.grad.mul_(self.mask)
            self.squared_gradient.lerp_(self.delta.grad.square(), 1 - memory)

    @torch.no_grad()
    def restrict(self, mask: Tensor | None = None) -> None:
        """Set the delta to zero outside of the mask, which is first replaced if one is given."""
        if mask is not None:
            self.mask.copy_(mask.reshape(self.mask.shape))
        self.delta.mul_(self.mask)


class GradualPruning(Controller):
    """Prunes all deltas together to a stated cost, on a cubic schedule (Zhu and Gupta, arXiv 1710.01878).

    The learning rate rises while the support shrinks, as a power of the density: few entries have to move further.

    Parameters
    ----------
    deltas : sequence of PrunedDelta
        Ranked against one another.
    costs : sequence of int
        Cost of one entry of each delta: 1 to count entries, or its stored bytes.
    capacity : int
        Total cost that remains.
    start, end : float
        Fraction of the run where pruning begins and where `capacity` is reached.
    interval : int
        Steps between two prunings.
    dense_lr : float
        Learning rate while everything is there, as a fraction of the final one.
    memory : float
        Decay of the running mean of squared gradients.
    """

    def __init__(
        self,
        deltas: Sequence[PrunedDelta],
        costs: Sequence[int],
        capacity: int,
        *,
        start: float,
        end: float,
        interval: int,
        dense_lr: float,
        memory: float = 0.99,
    ) -> None:
        self._deltas, self._capacity, self._memory = deltas, capacity, memory
        self._start, self._end, self._interval, self._dense_lr = start, end, interval, dense_lr
        self._sizes = [delta.mask.numel() for delta in deltas]
        self._costs = torch.cat(
            [torch.full((size,), cost, dtype=torch.int32) for size, cost in zip(self._sizes, costs, strict=True)]
        )
        self._everything = int(self._costs.sum())

    def before_step(self, step: int, total: int) -> None:
        for delta in self._deltas:
            delta.observe_gradient(self._memory)

    def after_step(self, step: int, total: int) -> None:
        first, last = self._span(total)
        if first <= step <= last and ((step - first) % self._interval == 0 or step == last):
            self._select(self._capacity_at(step, total))
        for delta in self._deltas:
            delta.restrict()

    def ready(self, step: int, total: int) -> bool:
        return step > self._span(total)[1]

    def lr_factor(self, step: int, total: int) -> float:
        if self._everything <= self._capacity:
            return 1.0
        done = math.log(self._everything / self._capacity_at(step, total))
        return float(self._dense_lr ** (1 - done / math.log(self._everything / self._capacity)))

    def _span(self, total: int) -> tuple[int, int]:
        """First and last step that prune; the last is never later than the last of the run."""
        last = min(int(self._end * total), total - 1)
        return min(int(self._start * total), last), last

    def _capacity_at(self, step: int, total: int) -> int:
        """Cost that is kept at a step."""
        first, last = self._span(total)
        progress = 1.0 if step >= last else max(0.0, (step - first) / (last - first))
        return self._capacity + round((self._everything - self._capacity) * (1 - progress) ** 3)

    def _select(self, capacity: int) -> None:
        """Keep the entries of largest saliency as far as their cost goes."""
        saliency = torch.cat([delta.saliency().reshape(-1) for delta in self._deltas])
        order = saliency.argsort(descending=True)
        affordable = self._costs.to(order.device)[order].cumsum(0) <= capacity
        kept = torch.zeros_like(saliency)
        kept[order[affordable]] = 1
        for delta, mask in zip(self._deltas, kept.split(self._sizes), strict=True):
            delta.restrict(mask)
