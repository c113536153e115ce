"""A change with a stated number of entries: train dense, prune the least useful entries step by step, train the rest.

The soft threshold shrinks what it keeps, and the size of a delta early in an Adam run says little about its use: every
entry has moved by about the learning rate. Here nothing is shrunk, and an entry's use is what the loss would lose
without it, to second order with the squared gradient as curvature: ``dW^2 * E[g^2]`` (optimal brain damage).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from equisparse.methods import entries
from equisparse.methods.base import AbstractDelta, Controller, ParameterGroup, Stored


class PrunedDelta(AbstractDelta):
    """``W' = W + dW`` with dW kept at zero outside of a mask; starts exactly at the base.

    The mask acts after every optimiser step and not in the pass: gradients stay dense and show which entries would be
    useful again.

    Parameters
    ----------
    weight : Tensor
        Base weight, any shape.
    """

    mask: Tensor
    gradient: Tensor
    squared_gradient: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.delta = nn.Parameter(torch.zeros_like(weight))
        self.register_buffer("mask", torch.ones_like(weight))
        self.register_buffer("gradient", torch.zeros_like(weight))
        self.register_buffer("squared_gradient", torch.zeros_like(weight))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.delta

    def stored(self) -> Stored:
        return entries.pack(self.delta)

    def groups(self) -> list[ParameterGroup]:
        return [ParameterGroup("delta", (self.delta,))]

    def saliency(self) -> Tensor:
        """Estimated loss increase of setting an entry back to the base, shape of the weight."""
        return self.delta.detach() ** 2 * self.squared_gradient


class GradualPruning(Controller):
    """Prunes all deltas together to a stated cost, on a cubic schedule (Zhu and Gupta, arXiv 1710.01878).

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
        regrow: float = 0.0,
        regrow_until: float = 0.8,
        regrow_interval: int = 20,
        memory: float = 0.99,
    ) -> None:
        self._deltas, self._capacity, self._memory = deltas, capacity, memory
        self._start, self._end, self._interval = start, end, interval
        self._regrow, self._regrow_until, self._regrow_interval = regrow, regrow_until, regrow_interval
        self._sizes = [delta.mask.numel() for delta in deltas]
        self._costs = torch.cat(
            [torch.full((size,), cost, dtype=torch.int32) for size, cost in zip(self._sizes, costs, strict=True)]
        )

    def before_step(self, step: int, total: int) -> None:
        for delta in self._deltas:
            if delta.delta.grad is not None:
                delta.gradient.lerp_(delta.delta.grad, 1 - self._memory)
                delta.squared_gradient.lerp_(delta.delta.grad.square(), 1 - self._memory)

    def after_step(self, step: int, total: int) -> None:
        last, end = self._last(total), int(self._regrow_until * total)
        first = min(int(self._start * total), last)
        due = (step - first) % self._interval == 0 or step == last
        if first <= step <= last and due:
            self._select(self._capacity_at(1.0 if step == last else (step - first) / (last - first)))
        elif last < step <= end and (step - last) % self._regrow_interval == 0:
            self._select(self._capacity, self._regrow * (end - step) / max(end - last, 1))
        self._zero_outside()

    def ready(self, step: int, total: int) -> bool:
        return step > self._last(total)

    def _last(self, total: int) -> int:
        """Step after which the capacity is reached; never later than the last one of the run."""
        return min(int(self._end * total), total - 1)

    def _capacity_at(self, progress: float) -> int:
        """Cost kept when a fraction `progress` of the pruning is over."""
        everything = int(self._costs.sum())
        return self._capacity + round((everything - self._capacity) * (1 - progress) ** 3)

    @torch.no_grad()
    def _select(self, capacity: int, regrown: float = 0.0) -> None:
        """Keep the entries of largest saliency as far as their cost goes; give a part of it to new ones."""
        saliency = torch.cat([delta.saliency().reshape(-1) for delta in self._deltas])
        kept = self._best(saliency, round(capacity * (1 - regrown)))
        if regrown > 0:
            g = torch.cat([delta.gradient.reshape(-1) for delta in self._deltas])
            active = torch.cat([delta.mask.reshape(-1) for delta in self._deltas])
            g = g.abs().masked_fill(active > 0, 0.0).masked_fill(kept > 0, -1.0)
            kept = torch.maximum(kept, self._best(g, capacity - round(capacity * (1 - regrown))))
        for delta, mask in zip(self._deltas, kept.split(self._sizes), strict=True):
            delta.mask.copy_(mask.reshape(delta.mask.shape))

    def _best(self, score: Tensor, capacity: int) -> Tensor:
        """1 for the entries of largest score whose costs fit into `capacity` together, 0 for the others."""
        order = score.argsort(descending=True)
        affordable = self._costs.to(order.device)[order].cumsum(0) <= capacity
        chosen = torch.zeros_like(score)
        chosen[order[affordable]] = 1
        return chosen

    @torch.no_grad()
    def _zero_outside(self) -> None:
        for delta in self._deltas:
            delta.delta.mul_(delta.mask)
