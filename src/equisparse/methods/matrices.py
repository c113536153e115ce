"""Where matrices that mix channels lie in a flattened parameter; some optimisers treat them as matrices."""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from torch import Tensor

from equisparse.blocks import Block

MIXING_ROLES = ("linear", "self_connection", "radial", "readout")
"""Roles of the tensors whose blocks map channels to channels; the others are tables, one row an element."""


class Matrices(NamedTuple):
    """Several matrices of one shape in a flattened parameter, as arguments of `Tensor.as_strided`."""

    offset: int
    size: tuple[int, int, int]
    """Number of matrices, rows, columns."""
    stride: tuple[int, int, int]

    def view(self, flat: Tensor) -> Tensor:
        """The matrices as a view of a contiguous tensor of one axis, shape `size`."""
        return flat.as_strided(self.size, self.stride, self.offset)


def matrices_of_blocks(blocks: Sequence[Block]) -> tuple[Matrices, ...]:
    """Matrices of the blocks of a tensor, one per element where there is such an axis; none unless all mix channels."""
    found = tuple(_matrices(block) for block in blocks if block.role in MIXING_ROLES and len(block.shape) in (2, 3))
    return found if len(found) == len(blocks) and all(min(each.size[1:]) > 1 for each in found) else ()


def consecutive_matrices(shapes: Iterable[tuple[int, int]]) -> tuple[Matrices, ...]:
    """Matrices of these shapes, each stored row by row right after the one before."""
    shapes = tuple(shapes)
    offsets = itertools.accumulate((rows * columns for rows, columns in shapes), initial=0)
    return tuple(
        Matrices(offset, (1, rows, columns), (0, columns, 1))
        for offset, (rows, columns) in zip(offsets, shapes, strict=False)
    )


def _matrices(block: Block) -> Matrices:
    """Matrices of a block of two axes, or of three with the elements in the middle."""
    *between, columns = zip(block.shape[1:], block.steps[1:], strict=True)
    (count, step), rows = (between or [(1, 0)])[0], (block.shape[0], block.steps[0])
    size, stride = zip((count, step), rows, columns, strict=True)
    return Matrices(block.offset, size, stride)
