"""A change with a stated number of entries: train dense, prune the least useful entries step by step, train the rest.

The soft threshold shrinks what it keeps, and the size of a delta early in an Adam run says little about its use: every
entry has moved by about the learning rate. Here nothing is shrunk, and an entry's use is what the loss would lose
without it, to second order with the squared gradient as curvature: ``dW^2 * E[g^2]`` (optimal brain damage).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, distributed

from equisparse.methods import entries
from equisparse.methods.base import AbstractDelta, Controller, ParameterGroup, Stored
from equisparse.methods.parametrization import AbstractParametrization


class PrunedDelta(AbstractDelta):
    """``W' = W + mask * size * R``, where R is what is trained.

    The size is the root mean square of the weight where that is below one, so that tensors of small weights move as
    far, for their size, as others.

    Parameters
    ----------
    weight : Tensor
        Base weight, any shape.
    raw : AbstractParametrization
        R.
    storage : torch.dtype or None
        Of the stored values; that of the weight if None.
    """

    size: Tensor
    mask: Tensor
    squared_gradient: Tensor
    gradient: Tensor

    def __init__(self, weight: Tensor, raw: AbstractParametrization, storage: torch.dtype | None) -> None:
        super().__init__()
        self.raw, self._storage = raw, storage
        self.register_buffer("size", weight.double().square().mean().sqrt().clamp_max(1.0).to(weight))
        self.register_buffer("mask", torch.ones_like(weight))
        self.register_buffer("squared_gradient", torch.zeros_like(weight))
        self.register_buffer("gradient", torch.zeros_like(weight), persistent=False)

    def change(self) -> Tensor:
        """DW, shape of the weight."""
        dense: Tensor = self.size * self.raw()
        if dense.requires_grad:
            dense.register_hook(self.gradient.add_)
        return dense * self.mask

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.change()

    def stored(self) -> Stored:
        return entries.pack(self.change(), self._storage)

    def groups(self) -> list[ParameterGroup]:
        return [self.raw.group()]

    @torch.no_grad()
    def saliency(self) -> Tensor:
        """Estimated loss increase of setting an entry back to the base, shape of the weight."""
        return self.change() ** 2 * self.squared_gradient

    def observe_gradient(self, memory: float) -> None:
        """Take the gradient of dW since the last call into the running mean square."""
        self.squared_gradient.lerp_(mean_over_processes(self.gradient).square(), 1 - memory)
        self.gradient.zero_()

    def restrict(self, mask: Tensor) -> None:
        """Hold dW at zero where `mask` is zero; flat, or of the shape of the weight."""
        self.mask.copy_(mask.reshape(self.mask.shape))


def mean_over_processes(x: Tensor) -> Tensor:
    """Mean of a tensor over the processes that train together, so that all of them prune the same entries."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return x
    distributed.all_reduce(x)
    return x.div_(distributed.get_world_size())


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
