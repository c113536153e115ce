"""Method `readout`: only the last layers change, the features stay; the cheapest of the usual fine-tunes."""

from dataclasses import dataclass
from typing import ClassVar, final

from equisparse.methods.dense import AbstractDenseMethod


@final
@dataclass(frozen=True)
class Readout(AbstractDenseMethod):
    """``W' = W + dW`` in the tensors that turn features into energies."""

    name: ClassVar[str] = "readout"

    @property
    def learning_rate(self) -> float:
        return 1e-2

    @property
    def default_targets(self) -> tuple[str, ...]:
        return ("readout",)
