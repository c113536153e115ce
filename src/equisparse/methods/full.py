"""Method `full`: every weight of the selected tensors changes; the reference for sparse methods."""

from dataclasses import dataclass
from typing import ClassVar, final

from equisparse.methods.dense import AbstractDenseMethod


@final
@dataclass(frozen=True)
class Full(AbstractDenseMethod):
    """Full fine-tuning ``W' = W + dW``; stores one value per weight of the selected tensors."""

    name: ClassVar[str] = "full"
