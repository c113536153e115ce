"""Method `mmea`: the invariant inputs modulate the magnitudes of output channels; for comparison."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Generator, Tensor

from equisparse.errors import InputError
from equisparse.formats.base import Irreps, Stored
from equisparse.formats.gates import Gates, MagnitudeGate, gate_sizes
from equisparse.methods.base import AbstractGate, AbstractGateMethod, ParameterGroup, plain_copies
from equisparse.methods.matrices import consecutive_matrices


class MagnitudeChange(AbstractGate):
    """A `MagnitudeGate` that starts as the identity, with B = b = 0.

    Parameters
    ----------
    inputs, outputs : Irreps
        Irreps of input and output of the module; at least one input is invariant.
    rank : int
        Width of the bottleneck.
    generator : Generator
        Generator of the start values of A.
    """

    def __init__(self, inputs: Irreps, outputs: Irreps, *, rank: int, generator: Generator) -> None:
        super().__init__()
        scalars, channels = gate_sizes(inputs, outputs)
        start = {
            "down": torch.randn(scalars, rank, generator=generator, dtype=torch.float64) / scalars**0.5,
            "down_bias": torch.zeros(rank, dtype=torch.float64),
            "up": torch.zeros(rank, channels, dtype=torch.float64),
            "up_bias": torch.zeros(channels, dtype=torch.float64),
        }
        self.gate = MagnitudeGate(inputs, outputs, start, residual=False)

    def forward(self, features: Tensor, output: Tensor) -> Tensor:
        changed: Tensor = self.gate(features, output)
        return changed

    def stored(self) -> Stored:
        return plain_copies(dict(self.gate.named_parameters()))

    def groups(self) -> list[ParameterGroup]:
        factors = (self.gate.down, self.gate.up)
        matrices = {factor: consecutive_matrices([(len(factor), factor.shape[1])]) for factor in factors}
        return [ParameterGroup("gates", tuple(self.parameters()), matrices=matrices)]


@final
@dataclass(frozen=True)
class MMEA(AbstractGateMethod):
    """Magnitude-modulated equivariant adapter of each Linear that has invariant inputs (Jin et al., arXiv 2511.06696).

    A module stores ``rank * (scalars + channels + 1) + channels`` values, where ``scalars`` is the number of its
    invariant input channels and ``channels`` that of all its output channels. The authors' code starts the correction
    of invariant outputs at random values; here it starts at zero, so that training starts from the base.

    Parameters
    ----------
    rank : int
        Width of the bottleneck.
    """

    name: ClassVar[str] = "mmea"

    rank: int = 16

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise InputError(
                "An option of the method mmea is out of range.", given=f"rank={self.rank}", expected="a positive rank"
            )

    @property
    def format(self) -> Gates:
        return Gates()

    @property
    def learning_rate(self) -> float:
        return 2e-2

    def build(self, inputs: Irreps, outputs: Irreps, generator: Generator) -> AbstractGate | None:
        if not any(channels.invariant for channels in inputs):
            return None
        return MagnitudeChange(inputs, outputs, rank=self.rank, generator=generator)
