"""Method `full`: every weight of the selected tensors changes; what sparse methods are compared with."""

from dataclasses import dataclass
from typing import ClassVar, final

from equisparse.methods.dense import AbstractDenseMethod


@final
@dataclass(frozen=True)
class Full(AbstractDenseMethod):
    """``W' = W + dW`` with nothing held back; stores one value per weight of the selected tensors."""

    name: ClassVar[str] = "full"
