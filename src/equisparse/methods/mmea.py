"""Method `mmea`: magnitudes of output channels modulated by the invariant inputs; a peer of the sparse methods."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from equisparse.errors import InputError
from equisparse.methods.base import AbstractGate, AbstractGateMethod, Irreps, ParameterGroup
from equisparse.methods.matrices import consecutive_matrices

GATES = ("exp", "residual")
"""How a modulation s becomes a factor: ``exp(s)`` or ``1 + s``."""


class MagnitudeGate(AbstractGate):
    """``s = silu(x0 A + a) B + b`` from the invariant inputs x0: added to invariant outputs, a factor of all others.

    A factor is one number a channel, the same for its 2l + 1 components. It starts as the identity, with B = b = 0.

    Parameters
    ----------
    inputs, outputs : Irreps
        Of the module; at least one input is invariant.
    rank : int
        Width of the bottleneck.
    residual : bool
        Whether the factor is ``1 + s`` rather than ``exp(s)``.
    generator : Generator
        For A.
    """

    def __init__(self, inputs: Irreps, outputs: Irreps, *, rank: int, residual: bool, generator: Generator) -> None:
        super().__init__()
        self._inputs, self._outputs, self._residual = inputs, outputs, residual
        scalars = sum(channels.multiplicity for channels in inputs if channels.invariant)
        modulated = sum(channels.multiplicity for channels in outputs)
        self.down = nn.Parameter(torch.randn(scalars, rank, generator=generator, dtype=torch.float64) / scalars**0.5)
        self.down_bias = nn.Parameter(torch.zeros(rank, dtype=torch.float64))
        self.up = nn.Parameter(torch.zeros(rank, modulated, dtype=torch.float64))
        self.up_bias = nn.Parameter(torch.zeros(modulated, dtype=torch.float64))

    def forward(self, features: Tensor, output: Tensor) -> Tensor:
        hidden = F.silu(self._invariant(features) @ self.down + self.down_bias)
        return torch.cat(list(self._modulated(hidden @ self.up + self.up_bias, output)), -1)

    def groups(self) -> list[ParameterGroup]:
        matrices = {factor: consecutive_matrices([(len(factor), factor.shape[1])]) for factor in (self.down, self.up)}
        return [ParameterGroup("gates", tuple(self.parameters()), matrices=matrices)]

    def _invariant(self, features: Tensor) -> Tensor:
        """Invariant inputs, shape (..., scalars)."""
        parts = features.split([channels.width for channels in self._inputs], -1)
        return torch.cat([part for part, channels in zip(parts, self._inputs, strict=True) if channels.invariant], -1)

    def _modulated(self, modulation: Tensor, output: Tensor) -> Iterator[Tensor]:
        """Parts of the output, one an irrep, each with its part of the modulation, shape (..., channels)."""
        modulations = modulation.split([channels.multiplicity for channels in self._outputs], -1)
        parts = output.split([channels.width for channels in self._outputs], -1)
        for channels, part, s in zip(self._outputs, parts, modulations, strict=True):
            if channels.invariant:
                yield part + s
            else:
                factor = 1 + s if self._residual else s.exp()
                components = part.unflatten(-1, (channels.multiplicity, 2 * channels.l + 1))
                yield (components * factor.unsqueeze(-1)).flatten(-2)


@dataclass(frozen=True)
class MMEA(AbstractGateMethod):
    """Magnitude-modulated equivariant adapter of every Linear that has invariant inputs (Jin et al., arXiv 2511.06696).

    A module stores ``rank * (scalars + channels + 1) + channels`` values, with its invariant input channels and all its
    output channels. The authors' code starts the correction of invariant outputs at random values; here it starts at
    zero, so that training starts from the base.

    Parameters
    ----------
    rank : int
        Width of the bottleneck.
    gate : str
        One of `GATES`.
    """

    name: ClassVar[str] = "mmea"
    parts: ClassVar[tuple[str, ...]] = ("down", "down_bias", "up", "up_bias")

    rank: int = 16
    gate: str = "exp"

    def __post_init__(self) -> None:
        if self.rank < 1 or self.gate not in GATES:
            raise InputError(
                "An option of the method mmea is out of range.",
                given=f"rank={self.rank}, gate={self.gate}",
                expected=f"a positive rank, and a gate of {' or '.join(GATES)}",
            )

    @property
    def learning_rate(self) -> float:
        return 2e-2

    def build(self, inputs: Irreps, outputs: Irreps, generator: Generator) -> AbstractGate | None:
        if not any(channels.invariant for channels in inputs):
            return None
        return MagnitudeGate(inputs, outputs, rank=self.rank, residual=self.gate == "residual", generator=generator)
