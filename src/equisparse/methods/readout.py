"""Method `readout`: only the last layers change, and the features stay those of the base."""

from dataclasses import dataclass
from typing import ClassVar, final

from equisparse.methods.dense import AbstractDenseMethod


@final
@dataclass(frozen=True)
class Readout(AbstractDenseMethod):
    """Dense change ``W' = W + dW`` of the tensors that map features to energies."""

    name: ClassVar[str] = "readout"

    @property
    def learning_rate(self) -> float:
        return 1e-2

    @property
    def default_targets(self) -> tuple[str, ...]:
        return ("readout",)
