"""Changes of a given size: train all components, prune the least important ones step by step, train the rest.

The importance of a component is the estimated increase of the loss if it is removed: ``E[g^2]``, with g the gradient
with respect to a factor of 1 on the component, that is, second order with the squared gradient as curvature (optimal
brain damage, LeCun et al. 1990). The magnitude of a change is no measure early in a run with Adam, because every entry
has changed by about the learning rate.
"""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from equisparse.methods.base import AbstractDelta, Controller


class AbstractPrunable(AbstractDelta):
    """Change that consists of parts which can be pruned one by one.

    Parameters
    ----------
    costs : Tensor
        Cost of each part, int32; `mask` has its shape.
    weight : Tensor
        Base weight, whose precision and device are used.
    """

    mask: Tensor
    costs: Tensor

    def __init__(self, costs: Tensor, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("costs", costs.to(weight.device, torch.int32), persistent=False)
        self.register_buffer("mask", torch.ones(costs.shape, dtype=weight.dtype, device=weight.device))

    @abstractmethod
    def saliency(self) -> Tensor:
        """Estimated increase of the loss if a part is removed, shape of the mask."""

    @abstractmethod
    def update_statistics(self, memory: float) -> None:
        """Update the running mean squares of the gradients; `memory` is the decay."""

    def restrict(self, mask: Tensor) -> None:
        """Remove the parts where `mask` is zero; it is flat, or has the shape of the present mask."""
        self.mask.copy_(mask.reshape(self.mask.shape))


class GradualPruning(Controller):
    """Pruning of all deltas together to a given total cost, on a cubic schedule (Zhu and Gupta, arXiv 1710.01878).

    Parameters
    ----------
    deltas : sequence of AbstractPrunable
        Deltas whose parts are ranked together, by saliency per cost.
    capacity : int
        Total cost of the remaining parts.
    start, end : float
        Fractions of the run at which pruning starts, and at which `capacity` is reached.
    interval : int
        Number of steps between two prunings.
    memory : float
        Decay of the running mean of squared gradients.
    """

    def __init__(
        self,
        deltas: Sequence[AbstractPrunable],
        capacity: int,
        *,
        start: float,
        end: float,
        interval: int,
        memory: float = 0.99,
    ) -> None:
        self._deltas, self._capacity, self._memory = deltas, capacity, memory
        self._start, self._end, self._interval = start, end, interval
        self._sizes = [delta.mask.numel() for delta in deltas]
        self._costs = torch.cat([delta.costs.reshape(-1) for delta in deltas])
        self._total_cost = int(self._costs.sum())

    def before_step(self, step: int, total: int) -> None:
        for delta in self._deltas:
            delta.update_statistics(self._memory)

    def after_step(self, step: int, total: int) -> None:
        first, last = self._span(total)
        if first <= step <= last and ((step - first) % self._interval == 0 or step == last):
            self._select(self._capacity_at(step, total))

    def ready(self, step: int, total: int) -> bool:
        return step > self._span(total)[1]

    def _span(self, total: int) -> tuple[int, int]:
        """First and last step that prune; the latter is at most the last step of the run."""
        last = min(int(self._end * total), total - 1)
        return min(int(self._start * total), last), last

    def _capacity_at(self, step: int, total: int) -> int:
        """Total cost of the parts that remain at a step."""
        first, last = self._span(total)
        progress = 1.0 if step >= last else max(0.0, (step - first) / (last - first))
        return self._capacity + round((self._total_cost - self._capacity) * (1 - progress) ** 3)

    def _select(self, capacity: int) -> None:
        """Keep the parts with the largest saliency per cost up to a total cost."""
        saliency = torch.cat([delta.saliency().reshape(-1) for delta in self._deltas])
        order = (saliency / self._costs).argsort(descending=True)
        affordable = self._costs[order].cumsum(0) <= capacity
        selected = torch.zeros_like(saliency)
        selected[order[affordable]] = 1
        for delta, mask in zip(self._deltas, selected.split(self._sizes), strict=True):
            delta.restrict(mask)
