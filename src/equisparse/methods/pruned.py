"""Changes of a given size: train all parts, prune the least important ones step by step, train the rest.

Parts are single entries, or components of a product. The importance of a part is the estimated increase of the loss if
it is removed: ``E[g^2]``, with g the gradient with respect to a factor of 1 on the part, that is, second order with the
squared gradient as curvature (optimal brain damage, LeCun et al. 1990). The magnitude of a change is no measure early
in a run with Adam, because every entry has changed by about the learning rate.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, distributed

from equisparse.formats.base import Stored
from equisparse.formats.entries import compact_dtype, pack
from equisparse.methods.base import AbstractDelta, Controller, ParameterGroup
from equisparse.methods.parametrization import AbstractParametrization


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

    def discard_gradients(self) -> None:
        """Discard gradients that were accumulated since `update_statistics`, such as those of penalties."""

    def restrict(self, mask: Tensor) -> None:
        """Remove the parts where `mask` is zero; it is flat, or has the shape of the present mask."""
        self.mask.copy_(mask.reshape(self.mask.shape))


class PrunedDelta(AbstractPrunable):
    """Change ``W' = W + mask * size * R`` with a trained tensor R.

    The size is the smaller of 1 and the root mean square of the weight, so that relative changes of small weights are
    as large as those of other weights.

    Parameters
    ----------
    weight : Tensor
        Base weight, any shape.
    raw : AbstractParametrization
        Trained tensor R.
    storage : torch.dtype or None
        Precision of the stored values; None means float16 if that is precise enough.
    """

    size: Tensor
    squared_gradient: Tensor
    gradient: Tensor

    def __init__(self, weight: Tensor, raw: AbstractParametrization, storage: torch.dtype | None) -> None:
        super().__init__(torch.ones(weight.shape), weight)
        self.raw, self._storage = raw, storage
        self.register_buffer("size", weight.double().square().mean().sqrt().clamp_max(1.0).to(weight))
        self.register_buffer("squared_gradient", torch.zeros_like(weight))
        self.register_buffer("gradient", torch.zeros_like(weight), persistent=False)

    def change(self) -> Tensor:
        """Present change of the weight, same shape."""
        dense: Tensor = self.size * self.raw()
        if dense.requires_grad:
            dense.register_hook(self.gradient.add_)
        return dense * self.mask

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.change()

    def stored(self) -> Stored:
        change = self.change().detach()
        return pack(change, self._storage or compact_dtype(change))

    def groups(self) -> list[ParameterGroup]:
        return [self.raw.group()]

    @torch.no_grad()
    def saliency(self) -> Tensor:
        return self.change() ** 2 * self.squared_gradient

    def update_statistics(self, memory: float) -> None:
        self.squared_gradient.lerp_(mean_over_processes(self.gradient).square(), 1 - memory)

    def discard_gradients(self) -> None:
        self.gradient.zero_()


def mean_over_processes(x: Tensor) -> Tensor:
    """Average a tensor in place over all processes, so that all of them prune the same entries."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return x
    distributed.all_reduce(x)
    return x.div_(distributed.get_world_size())


class GradualPruning(Controller):
    """Pruning of all deltas together to a given total cost, on a cubic schedule (Zhu and Gupta, arXiv 1710.01878).

    The learning rate increases as a power of the density while parts are pruned, because fewer entries need larger
    changes.

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
    dense_lr : float
        Learning rate before pruning, as a fraction of the final one.
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
        dense_lr: float,
        memory: float = 0.99,
    ) -> None:
        self._deltas, self._capacity, self._memory = deltas, capacity, memory
        self._start, self._end, self._interval, self._dense_lr = start, end, interval, dense_lr
        self._sizes = [delta.mask.numel() for delta in deltas]
        self._costs = torch.cat([delta.costs.reshape(-1) for delta in deltas])
        self._total_cost = int(self._costs.sum())

    def before_step(self, step: int, total: int) -> None:
        for delta in self._deltas:
            delta.update_statistics(self._memory)

    def after_step(self, step: int, total: int) -> None:
        for delta in self._deltas:
            delta.discard_gradients()
        first, last = self._span(total)
        if first <= step <= last and ((step - first) % self._interval == 0 or step == last):
            self._select(self._capacity_at(step, total))

    def ready(self, step: int, total: int) -> bool:
        return step > self._span(total)[1]

    def lr_factor(self, step: int, total: int) -> float:
        if self._total_cost <= self._capacity:
            return 1.0
        done = math.log(self._total_cost / self._capacity_at(step, total))
        return float(self._dense_lr ** (1 - done / math.log(self._total_cost / self._capacity)))

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
