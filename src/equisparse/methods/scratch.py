"""Method `scratch`: training of the base's architecture from random weights, to measure the value of pretraining."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Generator, Tensor

from equisparse.blocks import Block
from equisparse.methods.base import AbstractDelta
from equisparse.methods.dense import AbstractDenseMethod, DenseDelta


@final
@dataclass(frozen=True)
class Scratch(AbstractDenseMethod):
    """Training from scratch: path weights start from the normal distribution that e3nn and MACE use.

    Reference energies, scales and biases are those of the base.
    """

    name: ClassVar[str] = "scratch"
    keeps_base: ClassVar[bool] = False

    def build(self, weight: Tensor, blocks: tuple[Block, ...], generator: Generator) -> AbstractDelta:
        fresh = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        if blocks[0].role == "contraction":
            fresh /= blocks[0].shape[0]  # MACE divides by the number of paths
        delta = DenseDelta(weight, blocks)
        with torch.no_grad():
            delta.delta.copy_(fresh.to(weight) - weight)
        return delta
