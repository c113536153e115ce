"""Method `elora`: a change of low rank per path, the equivariant form of LoRA; a peer of the sparse methods."""

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

    rank: int = 64
    alpha: float | None = None

    def __post_init__(self) -> None:
        if self.rank < 1 or not math.isfinite(self._factor):
            raise InputError("The rank has to be positive, and alpha a number.", given=f"{self.rank}, {self.alpha}")

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
