"""Positions of channel-mixing matrices in a flattened parameter, for optimisers that treat them as matrices."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from torch import Tensor

from equisparse.blocks import Block

MIXING_ROLES = ("linear", "self_connection", "radial", "readout")
"""Roles of the tensors whose blocks map channels to channels; others are tables with one row per element."""


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
    """Matrices of the blocks of a tensor, one per element if there is an element axis; none unless all mix channels."""
    matrices: list[Matrices] = []
    for block in blocks:
        if block.role not in MIXING_ROLES or len(block.shape) not in (2, 3):
            return ()
        matrices.append(_matrices(block))
        if min(matrices[-1].size[1:]) <= 1:
            return ()
    return tuple(matrices)


def consecutive_matrices(shapes: Iterable[tuple[int, int]]) -> tuple[Matrices, ...]:
    """Matrices of these shapes, stored row by row, one directly after the other."""
    matrices: list[Matrices] = []
    offset = 0
    for rows, columns in shapes:
        matrices.append(Matrices(offset, (1, rows, columns), (0, columns, 1)))
        offset += rows * columns
    return tuple(matrices)


def _matrices(block: Block) -> Matrices:
    """Matrices of a block of two axes, or of three with the elements in the middle."""
    if len(block.shape) == 2:
        rows, columns = block.shape
        row_step, column_step = block.steps
        return Matrices(block.offset, (1, rows, columns), (0, row_step, column_step))
    rows, elements, columns = block.shape
    row_step, element_step, column_step = block.steps
    return Matrices(block.offset, (elements, rows, columns), (element_step, row_step, column_step))
