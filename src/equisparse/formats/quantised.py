"""Format `quantised`: a rank for every block, factors as one-byte integers, and one size per component."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from equisparse.blocks import Block
from equisparse.formats.base import AbstractWeightFormat, check_shape
from equisparse.formats.products import (
    Shapes,
    factor_shapes,
    order_of_entries,
    product,
    shapes_by_factor,
    total_size,
)

LEVELS = 127
"""Largest integer in a stored factor."""

RANK_BYTES = 2
"""Size of the stored rank of one block in bytes."""


@final
@dataclass(frozen=True)
class Quantised(AbstractWeightFormat):
    """Quantised components ``W' = W + sum_k size_k a_k b_k^T`` of every block.

    ``ranks`` (int16) holds the number of components of every block, ``down`` and ``up`` (int8) the columns a and the
    rows b, as matrices (mul_in, rank) and (rank, columns), block after block, and ``size`` one number per component.
    """

    name: ClassVar[str] = "quantised"
    parts: ClassVar[tuple[str, ...]] = ("ranks", "down", "up", "size")

    def check(self, stored: Mapping[str, Tensor], shape: tuple[int, ...], blocks: tuple[Block, ...]) -> None:
        """Raise ValueError unless all ranks are possible for their blocks, and the factors have sizes to match."""
        self.check_parts(stored)
        ranks = stored["ranks"]
        check_shape("ranks", ranks, (len(blocks),), torch.int16)
        for block, rank in zip(blocks, ranks.tolist(), strict=True):
            if not 0 <= rank <= largest_rank(block):
                raise ValueError("the ranks are negative, or larger than the blocks allow")
        downs, ups = shapes_by_factor(stored_shapes(blocks, ranks))
        check_shape("down", stored["down"], (total_size(downs),), torch.int8)
        check_shape("up", stored["up"], (total_size(ups),), torch.int8)
        check_shape("size", stored["size"], (int(ranks.sum()),))

    def apply(self, weight: Tensor, stored: Mapping[str, Tensor], blocks: tuple[Block, ...]) -> Tensor:
        """Base weight plus the sum of the stored components of every block."""
        down, up, size = (stored[part].to(weight) for part in ("down", "up", "size"))
        shapes = stored_shapes(blocks, stored["ranks"])
        order = order_of_entries(blocks).to(weight.device)
        scaled = down * _size_of_entries(size, shapes)
        return weight.detach() + product(scaled, up, shapes, order).view_as(weight)


def largest_rank(block: Block) -> int:
    """Largest number of components of a block."""
    return min(block.shape[0], block.numel // block.shape[0])


def component_bytes(shapes: Shapes) -> int:
    """Stored bytes of one component of a block with factors of these shapes: one per value, and 4 for the size."""
    (inputs, _), (_, columns) = shapes
    return inputs + columns + 4


def stored_shapes(blocks: Sequence[Block], ranks: Tensor) -> list[Shapes]:
    """Shapes of the stored factors of every block."""
    shapes: list[Shapes] = []
    for block, rank in zip(blocks, ranks.tolist(), strict=True):
        (inputs, _), (_, columns) = factor_shapes(block, 1)
        shapes.append(((inputs, rank), (rank, columns)))
    return shapes


def quantise(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Quantise rows to integers from -127 to 127, int8; the second result is the factor of each row."""
    size = rows.abs().amax(1) / LEVELS
    return (rows / torch.where(size > 0, size, 1.0)[:, None]).round().to(torch.int8), size


def _size_of_entries(size: Tensor, shapes: Sequence[Shapes]) -> Tensor:
    """Size of the component of each entry of the flattened A."""
    sizes = size.split([rank for _, (rank, _) in shapes])
    return torch.cat([values.expand(down).reshape(-1) for values, (down, _) in zip(sizes, shapes, strict=True)])
