"""Format `dense`: one value for every entry of a tensor."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from equisparse.blocks import Block
from equisparse.formats.base import AbstractWeightFormat, check_shape


@final
@dataclass(frozen=True)
class Dense(AbstractWeightFormat):
    """Dense change ``W' = W + change``."""

    name: ClassVar[str] = "dense"
    parts: ClassVar[tuple[str, ...]] = ("change",)

    def check(self, stored: Mapping[str, Tensor], shape: tuple[int, ...], blocks: tuple[Block, ...]) -> None:
        """Raise ValueError unless the change has the shape of the tensor."""
        self.check_parts(stored)
        check_shape("change", stored["change"], shape)

    def apply(self, weight: Tensor, stored: Mapping[str, Tensor], blocks: tuple[Block, ...]) -> Tensor:
        """Base weight plus the stored change."""
        return weight.detach() + stored["change"].to(weight)
