"""Format `gates`: a small network per module that modulates the module's output by its invariant inputs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equisparse.blocks import Block
from equisparse.formats.base import AbstractGateFormat, Irreps, check_shape

MODULATIONS = ("exp", "residual")
"""How a modulation s becomes a factor: ``exp(s)`` or ``1 + s``."""


@final
@dataclass(frozen=True)
class Gates(AbstractGateFormat):
    """``s = silu(x0 A + a) B + b`` from the invariant inputs x0; see `MagnitudeGate`.

    ``down`` (invariant inputs, rank) is A, ``down_bias`` a, ``up`` (rank, output channels) B and ``up_bias`` b.

    Parameters
    ----------
    modulation : {"exp", "residual"}
        Whether channels are multiplied by ``exp(s)`` or by ``1 + s``. Nothing writes ``residual`` any more.
    """

    name: ClassVar[str] = "gates"
    parts: ClassVar[tuple[str, ...]] = ("down", "down_bias", "up", "up_bias")

    modulation: str = "exp"

    def __post_init__(self) -> None:
        if self.modulation not in MODULATIONS:
            raise ValueError(f"gates with the modulation {self.modulation!r:.20}")

    def check(self, stored: Mapping[str, Tensor], shape: tuple[int, ...], blocks: tuple[Block, ...]) -> None:
        """Raise ValueError unless the parts have one rank; whether they fit a module is for `restore` to say."""
        self.check_parts(stored)
        down, up = stored["down"], stored["up"]
        if down.ndim != 2 or up.ndim != 2:
            raise ValueError("gates whose factors are no matrices")
        check_shape("down", down, (len(down), len(up)))
        check_shape("down_bias", stored["down_bias"], (len(up),))
        check_shape("up", up, tuple(up.shape))
        check_shape("up_bias", stored["up_bias"], (up.shape[1],))

    def restore(self, stored: Mapping[str, Tensor], inputs: Irreps, outputs: Irreps) -> "MagnitudeGate":
        """Gate of a module with these irreps.

        Raises
        ------
        ValueError
            If the parts do not fit such a module.
        """
        self.check(stored, (), ())
        if (len(stored["down"]), stored["up"].shape[1]) != gate_sizes(inputs, outputs):
            raise ValueError("gates of another number of channels")
        return MagnitudeGate(inputs, outputs, stored, residual=self.modulation == "residual")


class MagnitudeGate(nn.Module):
    """``s = silu(x0 A + a) B + b`` from the invariant inputs x0: added to invariant outputs, a factor of all others.

    A factor is one number a channel, the same for its 2l + 1 components, so that the gate commutes with rotations and
    inversion.

    Parameters
    ----------
    inputs, outputs : Irreps
        Of the module; at least one input is invariant.
    values : mapping of str to Tensor
        Start values of the parameters, as in `Gates`.
    residual : bool
        Whether the factor is ``1 + s`` rather than ``exp(s)``.
    """

    def __init__(self, inputs: Irreps, outputs: Irreps, values: Mapping[str, Tensor], *, residual: bool) -> None:
        super().__init__()
        self._inputs, self._outputs, self._residual = inputs, outputs, residual
        self.down = nn.Parameter(values["down"].detach().clone())
        self.down_bias = nn.Parameter(values["down_bias"].detach().clone())
        self.up = nn.Parameter(values["up"].detach().clone())
        self.up_bias = nn.Parameter(values["up_bias"].detach().clone())

    def forward(self, features: Tensor, output: Tensor) -> Tensor:
        """Changed output of a module from its input and its output, rows of irreps along the last axis."""
        hidden = F.silu(self._invariant(features) @ self.down + self.down_bias)
        return torch.cat(list(self._modulated(hidden @ self.up + self.up_bias, output)), -1)

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


def gate_sizes(inputs: Irreps, outputs: Irreps) -> tuple[int, int]:
    """Number of invariant input channels, and of output channels of every kind."""
    scalars = sum(channels.multiplicity for channels in inputs if channels.invariant)
    return scalars, sum(channels.multiplicity for channels in outputs)
