"""Format `scales`: a factor for every input channel and every output channel of every block."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from equisparse.blocks import Block, Layout
from equisparse.formats.base import AbstractWeightFormat, check_shape


@final
@dataclass(frozen=True)
class ChannelScales(AbstractWeightFormat):
    """Channel scales ``W' = diag(1 + a) W diag(1 + b)`` of every block; with an element axis, one b per element.

    ``input_scale`` contains all a and ``output_scale`` all b, block after block.
    """

    name: ClassVar[str] = "scales"
    parts: ClassVar[tuple[str, ...]] = ("input_scale", "output_scale")
    additive: ClassVar[bool] = False

    def check(self, stored: Mapping[str, Tensor], shape: tuple[int, ...], blocks: tuple[Block, ...]) -> None:
        """Raise ValueError unless there is one scale per channel."""
        self.check_parts(stored)
        check_shape("input_scale", stored["input_scale"], (sum(block.shape[0] for block in blocks),))
        outputs = sum(block.numel // block.shape[0] for block in blocks)
        check_shape("output_scale", stored["output_scale"], (outputs,))

    def apply(self, weight: Tensor, stored: Mapping[str, Tensor], blocks: tuple[Block, ...]) -> Tensor:
        """Base weight multiplied by the stored scales of its channels."""
        rows, columns = scale_indices(weight, blocks)
        a, b = stored["input_scale"].to(weight), stored["output_scale"].to(weight)
        return scaled(weight.detach(), a, b, rows.to(weight.device), columns.to(weight.device))


def half_precision_bytes(layout: Layout) -> int:
    """Size in bytes of the scales of all blocks of a layout as float16."""
    return 2 * sum(block.shape[0] + block.numel // block.shape[0] for block in layout)


def scaled(weight: Tensor, a: Tensor, b: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Compute ``(1 + a[rows]) * weight * (1 + b[columns])``; `rows` and `columns` have the shape of `weight`."""
    left = (1 + a).gather(0, rows.reshape(-1))
    right = (1 + b).gather(0, columns.reshape(-1))
    return left.view_as(weight) * weight * right.view_as(weight)


def scale_indices(weight: Tensor, blocks: tuple[Block, ...]) -> tuple[Tensor, Tensor]:
    """Index of the input scale and of the output scale of each entry of `weight`; int64, shape of `weight`."""
    rows = torch.empty(weight.numel(), dtype=torch.int64)
    columns = torch.empty(weight.numel(), dtype=torch.int64)
    first_row = first_column = 0
    for block in blocks:
        inputs, outputs = block.shape[0], block.numel // block.shape[0]
        entries = block.indices().reshape(inputs, outputs)
        rows[entries] = (first_row + torch.arange(inputs)).unsqueeze(1).expand(inputs, outputs)
        columns[entries] = (first_column + torch.arange(outputs)).expand(inputs, outputs)
        first_row, first_column = first_row + inputs, first_column + outputs
    return rows.reshape(weight.shape), columns.reshape(weight.shape)
