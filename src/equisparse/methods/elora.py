"""Method `elora`: a low-rank change per path, the equivariant form of LoRA, for comparison."""

import math
from dataclasses import dataclass
from typing import ClassVar, final

from torch import Generator, Tensor

from equisparse.blocks import Block
from equisparse.errors import InputError
from equisparse.formats.base import Stored
from equisparse.formats.factors import Factors
from equisparse.methods.base import AbstractDelta, AbstractWeightMethod, ParameterGroup, plain_copies
from equisparse.methods.parametrization import Product


class LowRankDelta(AbstractDelta):
    """Change ``W' = W + (alpha / rank) A B`` of every block; starts exactly at the base, with B = 0.

    Parameters
    ----------
    weight : Tensor
        Base weight, any shape.
    blocks : tuple of Block
        Blocks that tile the weight.
    rank : int
        Rank of the change of a block; smaller for small blocks.
    factor : float
        The factor ``alpha / rank``.
    generator : Generator
        Generator of the start values of A.
    """

    def __init__(
        self, weight: Tensor, blocks: tuple[Block, ...], *, rank: int, factor: float, generator: Generator
    ) -> None:
        super().__init__()
        self.product, self._factor = Product(weight, blocks, rank=rank, width=0.0, generator=generator), factor

    def forward(self, weight: Tensor) -> Tensor:
        change: Tensor = self._factor * self.product()
        return weight + change

    def stored(self) -> Stored:
        return plain_copies(dict(self.product.named_parameters()))

    def groups(self) -> list[ParameterGroup]:
        return [self.product.group()]


@final
@dataclass(frozen=True)
class ELoRA(AbstractWeightMethod):
    """Low-rank adaptation of each path separately, so that irreps are not mixed (Wang et al., ELoRA, ICML 2025).

    A block of shape (mul_in, mul_out) stores ``rank * (mul_in + mul_out)`` values; one with an element axis is used
    as a matrix (mul_in, elements * mul_out).

    Parameters
    ----------
    rank : int
        Rank of the change of each block.
    alpha : float or None
        Numerator of the factor ``alpha / rank`` of the change; by default equal to the rank.
    """

    name: ClassVar[str] = "elora"

    rank: int = 64
    alpha: float | None = None

    def __post_init__(self) -> None:
        if self.rank < 1 or not (math.isfinite(self._factor) and self._factor > 0):
            raise InputError(
                "An option of the method elora is out of range.",
                given=f"rank={self.rank}, alpha={self.alpha}",
                expected="a positive rank, and a positive, finite alpha",
            )

    @property
    def format(self) -> Factors:
        return Factors(self.rank, self._factor)

    @property
    def learning_rate(self) -> float:
        return 2e-2

    def build(self, weight: Tensor, blocks: tuple[Block, ...], generator: Generator) -> AbstractDelta:
        return LowRankDelta(weight, blocks, rank=self.rank, factor=self._factor, generator=generator)

    @property
    def _factor(self) -> float:
        """Factor of the product."""
        return 1.0 if self.alpha is None else self.alpha / self.rank
