"""Parametrisations of a change during training: entry by entry, or as a product of two factors per path.

A product ``A B`` of trained factors can represent the same changes, but its gradient descent prefers changes of low
rank (Gunasekar et al., arXiv 1705.09280). With few frames, this improves accuracy as much as the choice of the method
(docs/benchmarks.md).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from equisparse.blocks import Block
from equisparse.formats.products import factor_shapes, factors, order_of_entries, shapes_by_factor, tiled
from equisparse.methods.base import ParameterGroup
from equisparse.methods.factored import AbstractFactored
from equisparse.methods.matrices import consecutive_matrices, matrices_of_blocks


class AbstractParametrization(nn.Module, ABC):
    """A trained tensor of the shape of a weight.

    Attributes
    ----------
    idle : bool
        Whether the tensor is not needed now.
    """

    idle: bool = False

    @abstractmethod
    def forward(self) -> Tensor:
        """Present value of the tensor."""

    @abstractmethod
    def reached(self) -> Tensor:
        """Mask of the entries that the present gradient changes; bool, shape of the weight."""

    @abstractmethod
    def group(self) -> ParameterGroup:
        """Parameter group of the trained parameters."""

    @abstractmethod
    def restart(self, generator: Generator) -> None:
        """Set the tensor to zero, in a state from which it can be trained."""


class EntryByEntry(AbstractParametrization):
    """One parameter per entry, drawn from a normal distribution of standard deviation `width`.

    Parameters
    ----------
    weight : Tensor
        Weight whose shape, precision and device are used.
    blocks : tuple of Block
        Blocks that tile the weight.
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

    @torch.no_grad()
    def restart(self, generator: Generator) -> None:
        self.entries.zero_()


class Product(AbstractParametrization, AbstractFactored):
    """``A B`` for every block, with A of shape (mul_in, r) and B of shape (r, columns); see `factor_shapes`.

    A is drawn with standard deviation ``mul_in^-1/2``, and B such that entries of the product have that of `width`.

    Parameters
    ----------
    weight : Tensor
        Weight whose shape, precision and device are used.
    blocks : tuple of Block
        Blocks that tile the weight.
    rank : int
        Largest r.
    width : float
        Standard deviation of the entries of the product; at 0, B and the product are zero.
    generator : Generator
    """

    def __init__(
        self, weight: Tensor, blocks: Sequence[Block], *, rank: int, width: float, generator: Generator
    ) -> None:
        super().__init__()
        self._shape, self.shapes = weight.shape, [factor_shapes(block, rank) for block in blocks]
        self.register_buffer("order", order_of_entries(blocks), persistent=False)
        # all A are drawn before all B: results of a seed depend on this order
        self.down = nn.Parameter(self._random_downs(generator).to(weight))
        ups = [_normal(up, width * (inputs / r) ** 0.5, generator) for (inputs, r), up in self.shapes]
        self.up = nn.Parameter(torch.cat(ups).to(weight))

    def forward(self) -> Tensor:
        return self.flat_product().view(self._shape)

    def present_factors(self) -> tuple[Tensor, Tensor]:
        return self.down, self.up

    def reached(self) -> Tensor:
        if self.down.grad is None or self.up.grad is None:
            return torch.zeros(self._shape, dtype=torch.bool, device=self.down.device)
        gradients = factors(self.down.grad, self.up.grad, self.shapes)
        return tiled([a.any(1)[:, None] & b.any(0) for a, b in gradients], self.order).view(self._shape)

    def group(self) -> ParameterGroup:
        downs, ups = shapes_by_factor(self.shapes)
        matrices = {self.down: consecutive_matrices(downs), self.up: consecutive_matrices(ups)}
        return ParameterGroup("factors", (self.down, self.up), matrices=matrices)

    @torch.no_grad()
    def restart(self, generator: Generator) -> None:
        self.down.copy_(self._random_downs(generator))
        self.up.zero_()

    def _random_downs(self, generator: Generator) -> Tensor:
        """All A at the start, float64."""
        return torch.cat([_normal(shape, shape[0] ** -0.5, generator) for shape, _ in self.shapes])


def make_parametrization(
    weight: Tensor, blocks: Sequence[Block], *, rank: int | None, width: float, generator: Generator
) -> AbstractParametrization:
    """Create a `Product` of a rank, or an `EntryByEntry` if the rank is None."""
    if rank is None:
        return EntryByEntry(weight, blocks, width=width, generator=generator)
    return Product(weight, blocks, rank=rank, width=width, generator=generator)


def _normal(shape: tuple[int, int], width: float, generator: Generator) -> Tensor:
    """Flattened random matrix of a shape and a standard deviation, float64."""
    return torch.randn(shape, generator=generator, dtype=torch.float64).reshape(-1) * width
