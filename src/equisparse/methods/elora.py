"""Method `elora`: a change of low rank per path, the equivariant form of LoRA; a peer of the sparse methods."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from equisparse.blocks import Block
from equisparse.errors import InputError
from equisparse.methods.base import AbstractDelta, AbstractWeightMethod, ParameterGroup, Stored
from equisparse.methods.matrices import consecutive_matrices


class LowRankDelta(AbstractDelta):
    """``W' = W + (alpha / rank) A B`` for every block; starts exactly at the base, with B = 0.

    Parameters
    ----------
    weight : Tensor
        Base weight, any shape.
    blocks : tuple of Block
        Tile the weight.
    rank : int
        Of the change of a block; less where a block is smaller.
    factor : float
        ``alpha / rank``.
    generator : Generator
        For A.
    """

    order: Tensor

    def __init__(
        self, weight: Tensor, blocks: tuple[Block, ...], *, rank: int, factor: float, generator: Generator
    ) -> None:
        super().__init__()
        self._shapes, self._factor = [factor_shapes(block, rank) for block in blocks], factor
        self.register_buffer("order", order_of_entries(blocks), persistent=False)
        starts = [
            torch.randn(down, generator=generator, dtype=torch.float64).reshape(-1) / down[0] ** 0.5
            for down, _ in self._shapes
        ]
        self.down = nn.Parameter(torch.cat(starts).to(weight))
        self.up = nn.Parameter(weight.new_zeros(sum(r * columns for _, (r, columns) in self._shapes)))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + low_rank(self.down, self.up, self._shapes, self.order, self._factor).view_as(weight)

    def stored(self) -> Stored:
        return {name: factor.detach().cpu().clone() for name, factor in (("down", self.down), ("up", self.up))}

    def groups(self) -> list[ParameterGroup]:
        downs, ups = zip(*self._shapes, strict=True)
        matrices = {self.down: consecutive_matrices(downs), self.up: consecutive_matrices(ups)}
        return [ParameterGroup("factors", (self.down, self.up), matrices=matrices)]


@dataclass(frozen=True)
class ELoRA(AbstractWeightMethod):
    """Low-rank adaptation of every path by itself, so that irreps are never mixed (Wang et al., ELoRA, ICML 2025).

    A block of shape (mul_in, mul_out) stores ``rank * (mul_in + mul_out)`` values; one with an element axis is taken as
    (mul_in, elements * mul_out).

    Parameters
    ----------
    rank : int
        Of the change of each block.
    alpha : float or None
        The change is multiplied by ``alpha / rank``; by default alpha is the rank.
    """

    name: ClassVar[str] = "elora"
    parts: ClassVar[tuple[str, ...]] = ("down", "up")

    rank: int = 16
    alpha: float | None = None

    def __post_init__(self) -> None:
        if self.rank < 1 or not math.isfinite(self._factor):
            raise InputError("The rank has to be positive, and alpha a number.", given=f"{self.rank}, {self.alpha}")

    def build(self, weight: Tensor, blocks: tuple[Block, ...], generator: Generator) -> AbstractDelta:
        return LowRankDelta(weight, blocks, rank=self.rank, factor=self._factor, generator=generator)

    def part_shapes(self, shape: tuple[int, ...], blocks: tuple[Block, ...]) -> Mapping[str, tuple[int, ...]]:
        downs, ups = zip(*(factor_shapes(block, self.rank) for block in blocks), strict=True)
        return {"down": (sum(map(math.prod, downs)),), "up": (sum(map(math.prod, ups)),)}

    def apply(self, weight: Tensor, stored: Mapping[str, Tensor], blocks: tuple[Block, ...]) -> Tensor:
        down, up = (stored[part].to(weight) for part in self.parts)
        shapes = [factor_shapes(block, self.rank) for block in blocks]
        order = order_of_entries(blocks).to(weight.device)
        return weight.detach() + low_rank(down, up, shapes, order, self._factor).view_as(weight)

    @property
    def _factor(self) -> float:
        """What multiplies the product of the factors."""
        return 1.0 if self.alpha is None else self.alpha / self.rank


Shapes = tuple[tuple[int, int], tuple[int, int]]
"""Of the two factors of one block."""


def factor_shapes(block: Block, rank: int) -> Shapes:
    """Shapes (mul_in, r) and (r, columns) of the factors of a block, with r no larger than the block."""
    inputs, columns = block.shape[0], block.numel // block.shape[0]
    r = min(rank, inputs, columns)
    return (inputs, r), (r, columns)


def order_of_entries(blocks: Sequence[Block]) -> Tensor:
    """Where each entry of a flattened tensor stands among the entries of its blocks, one block after the other."""
    return torch.cat([block.indices().reshape(-1) for block in blocks]).argsort()


def low_rank(down: Tensor, up: Tensor, shapes: Sequence[Shapes], order: Tensor, factor: float) -> Tensor:
    """Change of a flattened tensor from the flattened factors of all its blocks."""
    downs = down.split([rows * r for (rows, r), _ in shapes])
    ups = up.split([r * columns for _, (r, columns) in shapes])
    products = [
        (a.view(first) @ b.view(second)).reshape(-1) for a, b, (first, second) in zip(downs, ups, shapes, strict=True)
    ]
    return factor * torch.cat(products)[order]
