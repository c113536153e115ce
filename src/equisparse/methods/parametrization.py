"""How the change of a weight is parametrised while it is trained: entry by entry, or path by path as a product.

A product ``A B`` of trained factors reaches the same changes, but not at the same pace: directions that have grown grow
faster. Gradient descent on factors therefore prefers changes of low rank (Gunasekar et al., arXiv 1705.09280), which is
worth as much as the choice of a method where frames are few (docs/benchmarks.md).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import torch
from torch import Generator, Tensor, nn

from equisparse.blocks import Block
from equisparse.methods.base import ParameterGroup
from equisparse.methods.matrices import consecutive_matrices, matrices_of_blocks


class AbstractParametrization(nn.Module, ABC):
    """A trained tensor of the shape of a weight."""

    @abstractmethod
    def forward(self) -> Tensor:
        """The tensor."""

    @abstractmethod
    def reached(self) -> Tensor:
        """Which entries the present gradient can move; bool, shape of the weight."""

    @abstractmethod
    def group(self) -> ParameterGroup:
        """The trained parameters."""


class EntryByEntry(AbstractParametrization):
    """One parameter per entry, drawn from a normal distribution of standard deviation `width`.

    Parameters
    ----------
    weight : Tensor
        For its shape, precision and device.
    blocks : tuple of Block
        Tile the weight.
    width : float
    generator : Generator
    """

    def __init__(self, weight: Tensor, blocks: Sequence[Block], *, width: float, generator: Generator) -> None:
        super().__init__()
        start = torch.randn(weight.shape, generator=generator, dtype=torch.float64) * width
        self.entries = nn.Parameter(start.to(weight))
        self._matrices = matrices_of_blocks(blocks)

    def forward(self) -> Tensor:
        return self.entries

    def reached(self) -> Tensor:
        gradient = self.entries.grad
        return torch.zeros_like(self.entries, dtype=torch.bool) if gradient is None else gradient != 0

    def group(self) -> ParameterGroup:
        return ParameterGroup("entries", (self.entries,), matrices={self.entries: self._matrices})


class Product(AbstractParametrization):
    """``A B`` for every block, with A of shape (mul_in, r) and B of shape (r, columns); see `factor_shapes`.

    A is drawn with standard deviation ``mul_in^-1/2``, B so that entries of the product have that of `width`.

    Parameters
    ----------
    weight : Tensor
        For its shape, precision and device.
    blocks : tuple of Block
        Tile the weight.
    rank : int
        Largest r.
    width : float
        At 0, B and the product are zero.
    generator : Generator
    """

    order: Tensor

    def __init__(
        self, weight: Tensor, blocks: Sequence[Block], *, rank: int, width: float, generator: Generator
    ) -> None:
        super().__init__()
        self._shape, self._shapes = weight.shape, [factor_shapes(block, rank) for block in blocks]
        self.register_buffer("order", order_of_entries(blocks), persistent=False)
        downs, ups = zip(*self._shapes, strict=True)
        spreads = [inputs**-0.5 for inputs, _ in downs], [width * (inputs / r) ** 0.5 for inputs, r in downs]
        self.down, self.up = (
            nn.Parameter(_normal(sizes, widths, generator).to(weight))
            for sizes, widths in zip((downs, ups), spreads, strict=True)
        )

    def forward(self) -> Tensor:
        return product(self.down, self.up, self._shapes, self.order).view(self._shape)

    def reached(self) -> Tensor:
        if self.down.grad is None or self.up.grad is None:
            return torch.zeros(self._shape, dtype=torch.bool, device=self.down.device)
        gradients = factors(self.down.grad, self.up.grad, self._shapes)
        return _tiled((a.any(1)[:, None] & b.any(0) for a, b in gradients), self.order).view(self._shape)

    def group(self) -> ParameterGroup:
        downs, ups = zip(*self._shapes, strict=True)
        matrices = {self.down: consecutive_matrices(downs), self.up: consecutive_matrices(ups)}
        return ParameterGroup("factors", (self.down, self.up), matrices=matrices)


Shapes = tuple[tuple[int, int], tuple[int, int]]
"""Of the two factors of one block."""


def factor_shapes(block: Block, rank: int) -> Shapes:
    """Shapes (mul_in, r) and (r, columns) of the factors of a block, with r no larger than the block.

    A block with an element axis is taken as (mul_in, elements * mul_out).
    """
    inputs, columns = block.shape[0], block.numel // block.shape[0]
    r = min(rank, inputs, columns)
    return (inputs, r), (r, columns)


def order_of_entries(blocks: Sequence[Block]) -> Tensor:
    """Where each entry of a flattened tensor stands among the entries of its blocks, one block after the other."""
    return torch.cat([block.indices().reshape(-1) for block in blocks]).argsort()


def product(down: Tensor, up: Tensor, shapes: Sequence[Shapes], order: Tensor) -> Tensor:
    """Flattened tensor from the flattened factors of all its blocks."""
    return _tiled((a @ b for a, b in factors(down, up, shapes)), order)


def factors(down: Tensor, up: Tensor, shapes: Sequence[Shapes]) -> Iterable[tuple[Tensor, Tensor]]:
    """The two matrices of every block."""
    return zip(*(_matrices(*each) for each in zip((down, up), zip(*shapes, strict=True), strict=True)), strict=True)


def _matrices(flat: Tensor, shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Matrices that are stored one after the other."""
    parts = flat.split([math.prod(shape) for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


def _tiled(matrices: Iterable[Tensor], order: Tensor) -> Tensor:
    """Flattened tensor of the entries of its blocks."""
    return torch.cat([matrix.reshape(-1) for matrix in matrices])[order]


def _normal(shapes: Iterable[tuple[int, int]], widths: Iterable[float], generator: Generator) -> Tensor:
    """Random matrices of given shapes and standard deviations, one after the other, float64."""
    parts = zip(shapes, widths, strict=True)
    return torch.cat(
        [torch.randn(shape, generator=generator, dtype=torch.float64).reshape(-1) * width for shape, width in parts]
    )
