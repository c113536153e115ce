"""The paper's change of a weight: a learned delta behind a soft threshold that is learned too (arXiv 2606.18691)."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equisparse.blocks import Block
from equisparse.methods import entries
from equisparse.methods.base import AbstractDelta, Controller, ParameterGroup, Stored
from equisparse.methods.parametrization import AbstractParametrization


def soft_threshold(x: Tensor, threshold: Tensor) -> Tensor:
    """``sign(x) * relu(|x| - threshold)``; shapes broadcast.

    >>> soft_threshold(torch.tensor([-2.0, 0.5]), torch.tensor(1.0))
    tensor([-1.,  0.])
    """
    return x.sign() * F.relu(x.abs() - threshold)


class SoftThresholdDelta(AbstractDelta):
    """``W' = W + S(dW, sigmoid(tau))``, with one tau per tensor or per path.

    Parameters
    ----------
    weight : Tensor
        Base weight, any shape.
    blocks : tuple of Block
        Its paths; they tile the weight.
    raw : AbstractParametrization
        dW. At the start it must not be zero, or no gradient would pass the threshold.
    start_threshold : float
        ``sigmoid(tau)`` at the start.
    tau_decay, tau_lr : float
        Weight decay and learning rate of tau. Decay pulls tau to 0, that is the threshold to 0.5: it creates sparsity.
    """

    path_of_entry: Tensor | None
    seen: Tensor

    def __init__(
        self,
        weight: Tensor,
        blocks: tuple[Block, ...],
        raw: AbstractParametrization,
        *,
        per_path: bool,
        start_threshold: float,
        tau_decay: float,
        tau_lr: float,
    ) -> None:
        super().__init__()
        self.raw = raw
        tau = math.log(start_threshold / (1 - start_threshold))
        self.tau = nn.Parameter(torch.full((len(blocks) if per_path else 1,), tau).to(weight))
        self.register_buffer("path_of_entry", _path_of_entry(weight, blocks) if per_path else None, persistent=False)
        self.register_buffer("seen", torch.zeros_like(weight, dtype=torch.bool))
        self.tau_decay, self.tau_lr = tau_decay, tau_lr

    def change(self) -> Tensor:
        """``S(dW, sigmoid(tau))``, shape of the weight.

        Out of training, entries that never had a gradient are zero: they are random numbers from the start, in weights
        that the data do not use, such as the embeddings of elements that are not in the data.
        """
        threshold = torch.sigmoid(self.tau)
        change = soft_threshold(self.raw(), threshold if self.path_of_entry is None else threshold[self.path_of_entry])
        return change if self.training or not bool(self.seen.any()) else change * self.seen

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.change()

    def stored(self) -> Stored:
        was_training = self.training
        stored = entries.pack(self.train(False).change())
        self.train(was_training)
        return stored

    def groups(self) -> list[ParameterGroup]:
        return [
            self.raw.group(),
            ParameterGroup("threshold", (self.tau,), weight_decay=self.tau_decay, lr=self.tau_lr),
        ]


class GradientWatch(Controller):
    """Remembers which entries ever had a gradient.

    Parameters
    ----------
    deltas : sequence of SoftThresholdDelta
    """

    def __init__(self, deltas: Sequence[SoftThresholdDelta]) -> None:
        self._deltas = deltas

    def before_step(self, step: int, total: int) -> None:
        for delta in self._deltas:
            if not delta.seen.all():
                delta.seen |= delta.raw.reached()


def _path_of_entry(weight: Tensor, blocks: tuple[Block, ...]) -> Tensor:
    """Number of the block that each entry belongs to, shape of `weight`, int64."""
    owner = torch.empty(weight.numel(), dtype=torch.int64)
    for number, block in enumerate(blocks):
        owner[block.indices().reshape(-1)] = number
    return owner.reshape(weight.shape)
