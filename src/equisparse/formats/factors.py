"""Format `factors`: two matrices for every block, whose product is added to the block."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from equisparse.blocks import Block
from equisparse.formats.base import AbstractWeightFormat, check_shape
from equisparse.formats.products import factor_shapes, order_of_entries, product, shapes_by_factor, total_size


@final
@dataclass(frozen=True)
class Factors(AbstractWeightFormat):
    """Products ``W' = W + factor * A B``; ``down`` contains all A and ``up`` all B, row by row, block after block.

    Parameters
    ----------
    rank : int
        Number of columns of A and rows of B; smaller for small blocks.
    factor : float
        Factor of the product.
    """

    name: ClassVar[str] = "factors"
    parts: ClassVar[tuple[str, ...]] = ("down", "up")

    rank: int
    factor: float = 1.0

    def __post_init__(self) -> None:
        if self.rank < 1 or not math.isfinite(self.factor):
            raise ValueError(f"invalid rank {self.rank} or factor {self.factor}")

    def check(self, stored: Mapping[str, Tensor], shape: tuple[int, ...], blocks: tuple[Block, ...]) -> None:
        """Raise ValueError unless the sizes of the factors follow from the blocks and the rank."""
        self.check_parts(stored)
        downs, ups = shapes_by_factor([factor_shapes(block, self.rank) for block in blocks])
        check_shape("down", stored["down"], (total_size(downs),))
        check_shape("up", stored["up"], (total_size(ups),))

    def apply(self, weight: Tensor, stored: Mapping[str, Tensor], blocks: tuple[Block, ...]) -> Tensor:
        """Base weight plus the product of the stored factors of every block."""
        down, up = stored["down"].to(weight), stored["up"].to(weight)
        shapes = [factor_shapes(block, self.rank) for block in blocks]
        order = order_of_entries(blocks).to(weight.device)
        return weight.detach() + self.factor * product(down, up, shapes, order).view_as(weight)
