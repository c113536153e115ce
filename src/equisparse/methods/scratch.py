"""Method `scratch`: the base's architecture with fresh weights; shows what the base's training is worth."""

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
    """All path weights start anew, from the normal distribution that e3nn and MACE draw them from.

    Reference energies, scales and biases stay those of the base.
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
