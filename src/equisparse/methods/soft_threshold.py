"""Method `soft_threshold`: a learned change with a learned soft threshold (arXiv 2606.18691)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast, final

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from equisparse.blocks import Block, Layout
from equisparse.errors import InputError
from equisparse.formats.base import Stored
from equisparse.formats.entries import Entries, pack
from equisparse.methods.base import AbstractChange, AbstractDelta, AbstractWeightMethod, Controller, ParameterGroup
from equisparse.methods.parametrization import AbstractParametrization, make_parametrization
from equisparse.methods.watch import GradientWatch

TAU_DECAY = {"L": 0.01, "H": 0.3}
"""Weight decay of tau in the two regimes of the paper: L is more accurate, H more sparse."""


def soft_threshold(x: Tensor, threshold: Tensor) -> Tensor:
    """Compute ``sign(x) * relu(|x| - threshold)``; shapes broadcast.

    >>> soft_threshold(torch.tensor([-2.0, 0.5]), torch.tensor(1.0))
    tensor([-1.,  0.])
    """
    return x.sign() * F.relu(x.abs() - threshold)


class SoftThresholdDelta(AbstractDelta):
    """Change ``W' = W + S(dW, sigmoid(tau))`` with the soft threshold S and one tau per tensor.

    Parameters
    ----------
    weight : Tensor
        Base weight, any shape.
    raw : AbstractParametrization
        Trained tensor dW. It must not be zero at the start, because then no gradient would pass the threshold.
    start_threshold : float
        Threshold ``sigmoid(tau)`` at the start.
    tau_decay, tau_lr : float
        Weight decay and learning rate of tau. Decay drives tau to 0, i.e. the threshold to 0.5, and creates sparsity.
    """

    seen: Tensor

    def __init__(
        self,
        weight: Tensor,
        raw: AbstractParametrization,
        *,
        start_threshold: float,
        tau_decay: float,
        tau_lr: float,
    ) -> None:
        super().__init__()
        self.raw = raw
        tau = math.log(start_threshold / (1 - start_threshold))
        self.tau = nn.Parameter(torch.full((1,), tau).to(weight))
        self.register_buffer("seen", torch.zeros_like(weight, dtype=torch.bool))
        self.tau_decay, self.tau_lr = tau_decay, tau_lr

    def change(self) -> Tensor:
        """Present change ``S(dW, sigmoid(tau))``, shape of the weight.

        In evaluation mode, entries that never had a gradient are zero: they would be random start values of weights
        that the data do not use, such as embeddings of absent elements.
        """
        change = soft_threshold(self.raw(), torch.sigmoid(self.tau))
        return change if self.training or not bool(self.seen.any()) else change * self.seen

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.change()

    def stored(self) -> Stored:
        was_training = self.training
        stored = pack(self.train(False).change())
        self.train(was_training)
        return stored

    def groups(self) -> list[ParameterGroup]:
        return [
            self.raw.group(),
            ParameterGroup("threshold", (self.tau,), weight_decay=self.tau_decay, lr=self.tau_lr),
        ]


@final
@dataclass(frozen=True)
class SoftThreshold(AbstractWeightMethod):
    """Sparse change ``W' = W + S(dW, sigmoid(tau))``: the decay of tau determines how many entries change.

    Stores an index and a value per changed entry. At the start every weight differs from the base by about
    `start_width`.

    Parameters
    ----------
    regime : {"L", "H"}
        Decay of tau: ``L`` is more accurate, ``H`` more sparse.
    rank : int or None
        Rank of the two factors per path whose product is dW; entry by entry (as published) if None.
    start_width : float
        Standard deviation of dW at the start.
    start_threshold, tau_lr : float
        Parameters of `SoftThresholdDelta`.
    """

    name: ClassVar[str] = "soft_threshold"

    regime: str = "L"
    rank: int | None = 64
    start_width: float = 1e-3
    start_threshold: float = 1e-4
    tau_lr: float = 1e-2

    def __post_init__(self) -> None:
        if self.regime not in TAU_DECAY:
            raise InputError(
                "The option regime has an invalid value.", given=str(self.regime), expected=" or ".join(TAU_DECAY)
            )
        rank = 1 if self.rank is None else self.rank
        if not (min(self.start_width, self.tau_lr, rank) > 0 and 0 < self.start_threshold < 1):
            raise InputError(
                "An option of the method soft_threshold is out of range.",
                given=", ".join(f"{key}={value}" for key, value in self.options().items()),
                expected="0 < start_threshold < 1, all others positive",
            )

    @property
    def format(self) -> Entries:
        return Entries()

    @property
    def learning_rate(self) -> float:
        return 2e-2

    def build(self, weight: Tensor, blocks: tuple[Block, ...], generator: Generator) -> AbstractDelta:
        raw = make_parametrization(weight, blocks, rank=self.rank, width=self.start_width, generator=generator)
        return SoftThresholdDelta(
            weight,
            raw,
            start_threshold=self.start_threshold,
            tau_decay=TAU_DECAY[self.regime],
            tau_lr=self.tau_lr,
        )

    def controller(self, deltas: Mapping[str, AbstractChange], layout: Layout) -> Controller:
        return GradientWatch(cast(list[SoftThresholdDelta], list(deltas.values())))
