"""Modules with a product ``A B`` of two trained factors per block."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from equisparse.formats.products import Shapes, product


class AbstractFactored(nn.Module, ABC):
    """Module whose tensor is a product of two factors per block.

    Attributes
    ----------
    shapes : sequence of Shapes
        Shapes of the factors of each block.
    order : Tensor
        Result of `equisparse.formats.products.order_of_entries`.
    value : Tensor or None
        Flattened present products, where `equisparse.methods.grouped.GroupedProducts` has computed them.
    idle : bool
        Whether the products are not needed now.
    """

    shapes: Sequence[Shapes]
    order: Tensor
    value: Tensor | None = None
    idle: bool = False

    @abstractmethod
    def present_factors(self) -> tuple[Tensor, Tensor]:
        """All A, and all B, each flattened and concatenated over the blocks."""

    def flat_product(self) -> Tensor:
        """Flattened tensor of the products of all blocks."""
        return product(*self.present_factors(), self.shapes, self.order) if self.value is None else self.value
