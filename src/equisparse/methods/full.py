"""Method `full`: every weight of the selected tensors changes; what sparse methods are compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from equisparse.blocks import Block
from equisparse.methods.base import AbstractDelta, AbstractWeightMethod, ParameterGroup, Stored
from equisparse.methods.matrices import matrices_of_blocks


class FullDelta(AbstractDelta):
    """``W' = W + dW``; starts exactly at the base.

    Parameters
    ----------
    weight : Tensor
        Base weight, any shape.
    blocks : tuple of Block
        Tile the weight.
    """

    def __init__(self, weight: Tensor, blocks: tuple[Block, ...]) -> None:
        super().__init__()
        self._matrices = matrices_of_blocks(blocks)
        self.delta = nn.Parameter(torch.zeros_like(weight))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.delta

    def stored(self) -> Stored:
        return {"change": self.delta.detach().cpu().clone()}

    def groups(self) -> list[ParameterGroup]:
        return [ParameterGroup("delta", (self.delta,), matrices={self.delta: self._matrices})]


@dataclass(frozen=True)
class Full(AbstractWeightMethod):
    """``W' = W + dW`` with nothing held back; stores one value per weight of the selected tensors."""

    name: ClassVar[str] = "full"
    parts: ClassVar[tuple[str, ...]] = ("change",)

    @property
    def learning_rate(self) -> float:
        return 2e-2

    @property
    def default_targets(self) -> tuple[str, ...]:
        return ("all",)

    def build(self, weight: Tensor, blocks: tuple[Block, ...], generator: Generator) -> AbstractDelta:
        return FullDelta(weight, blocks)

    def part_shapes(self, shape: tuple[int, ...], blocks: tuple[Block, ...]) -> Mapping[str, tuple[int, ...]]:
        return {"change": shape}

    def apply(self, weight: Tensor, stored: Mapping[str, Tensor], blocks: tuple[Block, ...]) -> Tensor:
        return weight.detach() + stored["change"].to(weight)
