"""Products ``A B`` of two matrices per block of a tensor; all A are one flat tensor, and all B another."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from equisparse.blocks import Block

Shape = tuple[int, int]
"""Shape of a matrix."""

Shapes = tuple[Shape, Shape]
"""Shapes of the two factors of one block: (mul_in, r) and (r, columns)."""


def factor_shapes(block: Block, rank: int) -> Shapes:
    """Shapes (mul_in, r) and (r, columns) of the factors of a block, with r limited by the size of the block.

    A block with an element axis is used as a matrix (mul_in, elements * mul_out).
    """
    inputs, columns = block.shape[0], block.numel // block.shape[0]
    r = min(rank, inputs, columns)
    return (inputs, r), (r, columns)


def shapes_by_factor(shapes: Sequence[Shapes]) -> tuple[list[Shape], list[Shape]]:
    """Split shapes of pairs of factors into those of all A and those of all B."""
    downs: list[Shape] = []
    ups: list[Shape] = []
    for down, up in shapes:
        downs.append(down)
        ups.append(up)
    return downs, ups


def total_size(shapes: Iterable[Shape]) -> int:
    """Total number of entries of matrices of these shapes."""
    return sum(math.prod(shape) for shape in shapes)


def order_of_entries(blocks: Sequence[Block]) -> Tensor:
    """Position of each entry of a flattened tensor in the concatenated entries of its blocks."""
    return torch.cat([block.indices().reshape(-1) for block in blocks]).argsort()


def product(down: Tensor, up: Tensor, shapes: Sequence[Shapes], order: Tensor) -> Tensor:
    """Multiply the factors of all blocks, and return the flattened tensor.

    Parameters
    ----------
    down, up : Tensor
        All A and all B, concatenated.
    shapes : sequence of Shapes
        One per block.
    order : Tensor
        Result of `order_of_entries`.
    """
    return tiled([a @ b for a, b in factors(down, up, shapes)], order)


def factors(down: Tensor, up: Tensor, shapes: Sequence[Shapes]) -> list[tuple[Tensor, Tensor]]:
    """Two matrices of every block, as views of the flattened factors."""
    downs, ups = shapes_by_factor(shapes)
    return list(zip(_matrices(down, downs), _matrices(up, ups), strict=True))


def tiled(matrices: Iterable[Tensor], order: Tensor) -> Tensor:
    """Assemble a flattened tensor from the matrices of its blocks."""
    return torch.cat([matrix.reshape(-1) for matrix in matrices])[order]


def _matrices(flat: Tensor, shapes: Sequence[Shape]) -> list[Tensor]:
    """Concatenated matrices as views of their shapes."""
    matrices = flat.split([math.prod(shape) for shape in shapes])
    return [matrix.view(shape) for matrix, shape in zip(matrices, shapes, strict=True)]
