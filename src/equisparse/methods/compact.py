"""Method `compact`: the best fit for a stated size: channel scales, and single entries for what is left of the size."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import torch
from torch import Generator, Tensor

from equisparse.blocks import Block, Layout
from equisparse.errors import InputError
from equisparse.methods import entries
from equisparse.methods.base import AbstractDelta, AbstractMethod, Controller, ParameterGroup, Stored
from equisparse.methods.pruned import GradualPruning, PrunedDelta
from equisparse.methods.scale import ScaleDelta, scale_indices, scaled

_STORED = torch.float16
_BYTES = 2


class CompactDelta(AbstractDelta):
    """``W' = diag(1 + a) W diag(1 + b) + dW``, with dW pruned to few entries; starts exactly at the base.

    Parameters
    ----------
    weight : Tensor
        Base weight, any shape.
    blocks : tuple of Block
        Tile the weight.
    """

    def __init__(self, weight: Tensor, blocks: tuple[Block, ...]) -> None:
        super().__init__()
        self.scale, self.entries = ScaleDelta(weight, blocks), PrunedDelta(weight)

    def forward(self, weight: Tensor) -> Tensor:
        changed: Tensor = self.entries(self.scale(weight))
        return changed

    def stored(self) -> Stored:
        scales = {name: value.to(_STORED) for name, value in self.scale.stored().items()}
        return scales | entries.pack(self.entries.delta, _STORED)

    def groups(self) -> list[ParameterGroup]:
        scales = [replace(group, lr_factor=0.5, follows_controller=False) for group in self.scale.groups()]
        return scales + self.entries.groups()


@dataclass(frozen=True)
class Compact(AbstractMethod):
    """Scales of all channels and as many single entries as the size allows, everything in float16.

    Parameters
    ----------
    value_bytes : int or None
        Bytes of all stored values and indices; has to be more than the scales take.
    prune_start, prune_end : float
        Part of the run over which the entries are pruned.
    prune_interval : int
        Steps between two prunings.
    dense_lr : float
        Learning rate of the entries before pruning as a fraction of that after it.
    """

    name: ClassVar[str] = "compact"
    parts: ClassVar[tuple[str, ...]] = ("input_scale", "output_scale", "index", "value")

    value_bytes: int | None = None
    prune_start: float = 0.1
    prune_end: float = 0.5
    prune_interval: int = 10
    dense_lr: float = 0.125

    @property
    def learning_rate(self) -> float:
        return 8e-2

    def fit_into(self, value_bytes: int, layout: Layout) -> "Compact":
        return replace(self, value_bytes=value_bytes)

    def resolve(self, layout: Layout) -> "Compact":
        if self.value_bytes is None or self._capacity(layout) <= 0:
            raise InputError(
                "The method compact needs more room than it has.",
                given="no size" if self.value_bytes is None else f"{self.value_bytes} bytes for values",
                expected=f"more than {scale_bytes(layout)} bytes: the scales of the selected tensors",
                next_step="raise --budget, select fewer tensors with --targets, or use --method sparse",
            )
        return self

    def build(self, weight: Tensor, blocks: tuple[Block, ...], generator: Generator) -> AbstractDelta:
        return CompactDelta(weight, blocks)

    def apply(self, weight: Tensor, stored: Mapping[str, Tensor], blocks: tuple[Block, ...]) -> Tensor:
        rows, columns = (index.to(weight.device) for index in scale_indices(weight, blocks))
        a, b = (stored[part].to(weight) for part in ("input_scale", "output_scale"))
        return entries.add(scaled(weight.detach(), a, b, rows, columns), stored)

    def controller(self, deltas: Mapping[str, AbstractDelta], layout: Layout) -> Controller:
        return GradualPruning(
            [cast(CompactDelta, delta).entries for delta in deltas.values()],
            [entries.bytes_per_entry(layout.size_of(name), _BYTES) for name in deltas],
            self._capacity(layout),
            start=self.prune_start,
            end=self.prune_end,
            interval=self.prune_interval,
            dense_lr=self.dense_lr,
        )

    def _capacity(self, layout: Layout) -> int:
        """Bytes for entries."""
        return (self.value_bytes or 0) - scale_bytes(layout)


def scale_bytes(layout: Layout) -> int:
    """Bytes of the scales of all blocks of a layout."""
    return _BYTES * sum(block.shape[0] + block.numel // block.shape[0] for block in layout)
