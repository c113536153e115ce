"""Method `scale`: a factor for every channel of every path; stores two vectors per block."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch
from torch import Generator, Tensor, nn

from equisparse.blocks import Block, Layout
from equisparse.errors import InputError
from equisparse.formats.base import Stored
from equisparse.formats.scales import ChannelScales, half_precision_bytes, scale_indices, scaled
from equisparse.methods.base import AbstractDelta, AbstractWeightMethod, ParameterGroup


class ScaleDelta(AbstractDelta):
    """Change ``W' = diag(1 + a) W diag(1 + b)`` of every block; with an element axis, one b per element.

    Parameters
    ----------
    weight : Tensor
        Base weight, any shape.
    blocks : tuple of Block
        Blocks that tile the weight.
    storage : torch.dtype, optional
        Precision of the stored values; that of the weight by default.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, weight: Tensor, blocks: tuple[Block, ...], storage: torch.dtype | None = None) -> None:
        super().__init__()
        self._storage = storage
        rows, columns = scale_indices(weight, blocks)
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns, persistent=False)
        self.input_scale = nn.Parameter(weight.new_zeros(int(rows.max()) + 1))
        self.output_scale = nn.Parameter(weight.new_zeros(int(columns.max()) + 1))

    def forward(self, weight: Tensor) -> Tensor:
        return scaled(weight, self.input_scale, self.output_scale, self.rows, self.columns)

    def stored(self) -> Stored:
        scales = {"input_scale": self.input_scale, "output_scale": self.output_scale}
        return {name: scale.detach().cpu().clone().to(self._storage) for name, scale in scales.items()}

    def groups(self) -> list[ParameterGroup]:
        return [ParameterGroup("scale", (self.input_scale, self.output_scale))]


@final
@dataclass(frozen=True)
class Scale(AbstractWeightMethod):
    """Scales ``W' = diag(1 + a) W diag(1 + b)`` of every block W of shape (mul_in, mul_out).

    Stores ``mul_in + mul_out`` values per block and starts exactly at the base. Every weight of a scaled channel
    changes, so the changed fraction is large while the adapter is small. A block with an element axis of size E has
    ``mul_in + E * mul_out`` values: outputs are scaled per element.

    Parameters
    ----------
    half_precision : bool
        Store the scales as float16.
    """

    name: ClassVar[str] = "scale"

    half_precision: bool = False

    @property
    def format(self) -> ChannelScales:
        return ChannelScales()

    @property
    def learning_rate(self) -> float:
        return 4e-2

    def build(self, weight: Tensor, blocks: tuple[Block, ...], generator: Generator) -> AbstractDelta:
        return ScaleDelta(weight, blocks, torch.float16 if self.half_precision else None)

    def fit_into(self, value_bytes: int, layout: Layout) -> "Scale":
        if value_bytes < half_precision_bytes(layout):
            raise InputError(
                "The size is too small for the scales.",
                given=f"{value_bytes} bytes for values",
                expected=f"at least {half_precision_bytes(layout)} bytes, for the selected tensors in half precision",
                next_step="raise --budget, select fewer tensors with --targets, or use --method sparse",
            )
        return replace(self, half_precision=True)
