"""Products ``A B`` of two matrices for every block of a tensor; all A form one flat tensor, and all B another."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from equisparse.blocks import Block

Shape = tuple[int, int]
"""Of a matrix."""

Shapes = tuple[Shape, Shape]
"""Of the two factors of one block: (mul_in, r) and (r, columns)."""


def factor_shapes(block: Block, rank: int) -> Shapes:
    """Shapes (mul_in, r) and (r, columns) of the factors of a block, with r no larger than the block.

    A block with an element axis is taken as (mul_in, elements * mul_out).
    """
    inputs, columns = block.shape[0], block.numel // block.shape[0]
    r = min(rank, inputs, columns)
    return (inputs, r), (r, columns)


def shapes_by_factor(shapes: Sequence[Shapes]) -> tuple[list[Shape], list[Shape]]:
    """Shapes of all A, and shapes of all B."""
    downs: list[Shape] = []
    ups: list[Shape] = []
    for down, up in shapes:
        downs.append(down)
        ups.append(up)
    return downs, ups


def total_size(shapes: Iterable[Shape]) -> int:
    """Number of entries of all matrices together."""
    return sum(math.prod(shape) for shape in shapes)


def order_of_entries(blocks: Sequence[Block]) -> Tensor:
    """Where each entry of a flattened tensor stands among the entries of its blocks, one block after the other."""
    return torch.cat([block.indices().reshape(-1) for block in blocks]).argsort()


def product(down: Tensor, up: Tensor, shapes: Sequence[Shapes], order: Tensor) -> Tensor:
    """Flattened tensor from the flattened factors of all its blocks.

    Parameters
    ----------
    down, up : Tensor
        All A and all B, one matrix after the other.
    shapes : sequence of Shapes
        One per block.
    order : Tensor
        From `order_of_entries`.
    """
    return tiled([a @ b for a, b in factors(down, up, shapes)], order)


def factors(down: Tensor, up: Tensor, shapes: Sequence[Shapes]) -> list[tuple[Tensor, Tensor]]:
    """The two matrices of every block, as views of the flattened factors."""
    downs, ups = shapes_by_factor(shapes)
    return list(zip(_matrices(down, downs), _matrices(up, ups), strict=True))


def tiled(matrices: Iterable[Tensor], order: Tensor) -> Tensor:
    """Flattened tensor of the entries of its blocks."""
    return torch.cat([matrix.reshape(-1) for matrix in matrices])[order]


def _matrices(flat: Tensor, shapes: Sequence[Shape]) -> list[Tensor]:
    """Matrices that are stored one after the other."""
    parts = flat.split([math.prod(shape) for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
