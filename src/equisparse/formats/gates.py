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
"""Factors of a modulation s: ``exp(s)`` or ``1 + s``."""


@final
@dataclass(frozen=True)
class Gates(AbstractGateFormat):
    """Gates with the modulation ``s = silu(x0 A + a) B + b`` of the invariant inputs x0; see `MagnitudeGate`.

    ``down`` (invariant inputs, rank) is A, ``down_bias`` a, ``up`` (rank, output channels) B and ``up_bias`` b.

    Parameters
    ----------
    modulation : {"exp", "residual"}
        Whether channels are multiplied by ``exp(s)`` or by ``1 + s``. Only old files contain ``residual``.
    """

    name: ClassVar[str] = "gates"
    parts: ClassVar[tuple[str, ...]] = ("down", "down_bias", "up", "up_bias")

    modulation: str = "exp"

    def __post_init__(self) -> None:
        if self.modulation not in MODULATIONS:
            raise ValueError(f"unknown modulation {self.modulation!r:.20}")

    def check(self, stored: Mapping[str, Tensor], shape: tuple[int, ...], blocks: tuple[Block, ...]) -> None:
        """Raise ValueError unless the shapes of the parts agree; `restore` checks whether they fit a module."""
        self.check_parts(stored)
        down, up = stored["down"], stored["up"]
        if down.ndim != 2 or up.ndim != 2:
            raise ValueError("the factors of a gate are not matrices")
        check_shape("down", down, (len(down), len(up)))
        check_shape("down_bias", stored["down_bias"], (len(up),))
        check_shape("up", up, tuple(up.shape))
        check_shape("up_bias", stored["up_bias"], (up.shape[1],))

    def restore(self, stored: Mapping[str, Tensor], inputs: Irreps, outputs: Irreps) -> "MagnitudeGate":
        """Create the gate of a module with these irreps.

        Raises
        ------
        ValueError
            If the parts do not fit such a module.
        """
        self.check(stored, (), ())
        if (len(stored["down"]), stored["up"].shape[1]) != gate_sizes(inputs, outputs):
            raise ValueError("the number of channels of a gate differs from that of its module")
        return MagnitudeGate(inputs, outputs, stored, residual=self.modulation == "residual")


class MagnitudeGate(nn.Module):
    """Gate with the modulation ``s = silu(x0 A + a) B + b`` of the invariant inputs x0.

    s is added to invariant outputs, and determines a factor of all other outputs. The factor of a channel is the same
    for its 2l + 1 components, so the gate commutes with rotations and inversion.

    Parameters
    ----------
    inputs, outputs : Irreps
        Irreps of input and output of the module; at least one input is invariant.
    values : mapping of str to Tensor
        Initial values of the parameters, as in `Gates`.
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
        columns = features.split([channels.width for channels in self._inputs], -1)
        invariant = [x for x, channels in zip(columns, self._inputs, strict=True) if channels.invariant]
        return torch.cat(invariant, -1)

    def _modulated(self, modulation: Tensor, output: Tensor) -> Iterator[Tensor]:
        """Modulated columns of the output, one tensor per irrep; `modulation` has the shape (..., channels)."""
        modulations = modulation.split([channels.multiplicity for channels in self._outputs], -1)
        columns = output.split([channels.width for channels in self._outputs], -1)
        for channels, y, s in zip(self._outputs, columns, modulations, strict=True):
            if channels.invariant:
                yield y + s
            else:
                factor = 1 + s if self._residual else s.exp()
                components = y.unflatten(-1, (channels.multiplicity, 2 * channels.l + 1))
                yield (components * factor.unsqueeze(-1)).flatten(-2)


def gate_sizes(inputs: Irreps, outputs: Irreps) -> tuple[int, int]:
    """Number of invariant input channels, and number of all output channels."""
    scalars = sum(channels.multiplicity for channels in inputs if channels.invariant)
    return scalars, sum(channels.multiplicity for channels in outputs)
