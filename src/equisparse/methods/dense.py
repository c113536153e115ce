"""Dense changes of tensors: common base of the methods `full`, `readout` and `scratch`."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from equisparse.blocks import Block
from equisparse.formats.base import Stored
from equisparse.formats.dense import Dense
from equisparse.methods.base import AbstractDelta, AbstractWeightMethod, ParameterGroup, plain_copies
from equisparse.methods.matrices import matrices_of_blocks


class DenseDelta(AbstractDelta):
    """Dense change ``W' = W + dW``; starts exactly at the base.

    Parameters
    ----------
    weight : Tensor
        Base weight, any shape.
    blocks : tuple of Block
        Blocks that tile the weight.
    """

    def __init__(self, weight: Tensor, blocks: tuple[Block, ...]) -> None:
        super().__init__()
        self._matrices = matrices_of_blocks(blocks)
        self.delta = nn.Parameter(torch.zeros_like(weight))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.delta

    def stored(self) -> Stored:
        return plain_copies({"change": self.delta})

    def groups(self) -> list[ParameterGroup]:
        return [ParameterGroup("delta", (self.delta,), matrices={self.delta: self._matrices})]


@dataclass(frozen=True)
class AbstractDenseMethod(AbstractWeightMethod):
    """Dense change ``W' = W + dW``; stores one value per weight of the selected tensors."""

    @property
    def format(self) -> Dense:
        return Dense()

    @property
    def learning_rate(self) -> float:
        return 2e-2

    @property
    def default_targets(self) -> tuple[str, ...]:
        return ("all",)

    def build(self, weight: Tensor, blocks: tuple[Block, ...], generator: Generator) -> AbstractDelta:
        return DenseDelta(weight, blocks)
