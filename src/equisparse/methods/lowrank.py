"""Method `lowrank`: low-rank changes of all paths, whose ranks are chosen within a given total size (new here)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast, final

import torch
from torch import Generator, Tensor, nn

from equisparse.blocks import Block, Layout
from equisparse.errors import InputError
from equisparse.formats.base import Stored
from equisparse.formats.products import Shapes, factor_shapes, factors, order_of_entries, shapes_by_factor
from equisparse.formats.quantised import RANK_BYTES, Quantised, component_bytes, quantise
from equisparse.methods.base import AbstractChange, AbstractDelta, AbstractWeightMethod, Controller, ParameterGroup
from equisparse.methods.components import AbstractPrunable, GradualPruning
from equisparse.methods.factored import AbstractFactored
from equisparse.methods.matrices import consecutive_matrices


class ComponentsDelta(AbstractPrunable, AbstractFactored):
    """Change ``W' = W + sum_k m_k a_k b_k^T`` of every block, with a mask m of the components that are not pruned.

    All a are zero at the start, so the model is exactly the base. Rows that the data do not use, such as embeddings of
    absent elements, have no gradient and stay at the base.

    Parameters
    ----------
    weight : Tensor
        Base weight, any shape.
    blocks : tuple of Block
        Blocks that tile the weight.
    rank : int
        Number of components of a block at the start; smaller for small blocks.
    generator : Generator
        Generator of the start values of b.
    """

    squared_gradient: Tensor
    columns: Tensor
    """Component that each entry of all a belongs to."""

    def __init__(self, weight: Tensor, blocks: tuple[Block, ...], *, rank: int, generator: Generator) -> None:
        shapes = [factor_shapes(block, rank) for block in blocks]
        costs = [torch.full((up[0],), component_bytes((down, up))) for down, up in shapes]
        super().__init__(torch.cat(costs), weight)
        self.shapes = shapes
        self.register_buffer("columns", _columns(shapes), persistent=False)
        self.register_buffer("order", order_of_entries(blocks), persistent=False)
        self.register_buffer("squared_gradient", torch.zeros_like(self.mask))
        ups = [torch.randn(up, generator=generator, dtype=torch.float64) / up[1] ** 0.5 for _, up in shapes]
        self.down = nn.Parameter(weight.new_zeros(sum(math.prod(down) for down, _ in shapes)))
        self.up = nn.Parameter(torch.cat([up.reshape(-1) for up in ups]).to(weight))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.flat_product().view_as(weight)

    def present_factors(self) -> tuple[Tensor, Tensor]:
        return self.down * self.mask[self.columns], self.up

    def stored(self) -> Stored:
        ranks, downs, ups, sizes = [], [], [], []
        matrices = factors(self.down.detach(), self.up.detach(), self.shapes)
        for mask, (a, b) in zip(self._masks(), matrices, strict=True):
            columns, column_sizes = quantise(a.T[mask > 0])
            rows, row_sizes = quantise(b[mask > 0])
            ranks.append(len(rows))
            downs.append(columns.T.reshape(-1))
            ups.append(rows.reshape(-1))
            sizes.append(column_sizes * row_sizes)
        return {
            "ranks": torch.tensor(ranks, dtype=torch.int16),
            "down": torch.cat(downs).cpu(),
            "up": torch.cat(ups).cpu(),
            "size": torch.cat(sizes).to("cpu", torch.float32),
        }

    def groups(self) -> list[ParameterGroup]:
        downs, ups = shapes_by_factor(self.shapes)
        matrices = {self.down: consecutive_matrices(downs), self.up: consecutive_matrices(ups)}
        return [ParameterGroup("factors", (self.down, self.up), matrices=matrices)]

    def saliency(self) -> Tensor:
        return self.squared_gradient * self.mask

    @torch.no_grad()
    def update_statistics(self, memory: float) -> None:
        if self.up.grad is not None:
            terms = factors(self.down, self.up * self.up.grad, self.shapes)
            self.squared_gradient.lerp_(torch.cat([by_entry.sum(1) for _, by_entry in terms]).square(), 1 - memory)

    def _masks(self) -> tuple[Tensor, ...]:
        """Mask of each block."""
        return torch.split(self.mask, [r for _, (r, _) in self.shapes])


def _columns(shapes: Sequence[Shapes]) -> Tensor:
    """Component, counted over all blocks, that each entry of the concatenated A belongs to."""
    first, columns = 0, []
    for (inputs, rank), _ in shapes:
        columns.append(torch.arange(first, first + rank).repeat(inputs))
        first += rank
    return torch.cat(columns)


@final
@dataclass(frozen=True)
class LowRank(AbstractWeightMethod):
    """Low-rank change ``W' = W + A B`` of every block, with ranks chosen for a given total size.

    All blocks start at the same rank. Their components ``a_k b_k^T`` are then pruned together, on a schedule: first
    those with the smallest estimated increase of the loss per stored byte, until the rest fits (similar to AdaLoRA,
    Zhang et al., arXiv 2303.10512). Stores ``mul_in + columns`` one-byte integers and one size per component, and one
    rank per block.

    Parameters
    ----------
    value_bytes : int or None
        Target: total size of the stored factors in bytes; by default nothing is pruned.
    rank : int
        Rank at the start.
    prune_start, prune_end : float
        Fractions of the run at which pruning starts and ends.
    prune_interval : int
        Number of steps between two prunings.
    """

    name: ClassVar[str] = "lowrank"

    value_bytes: int | None = None
    rank: int = 64
    prune_start: float = 0.1
    prune_end: float = 0.75
    prune_interval: int = 10

    def __post_init__(self) -> None:
        room = 1 if self.value_bytes is None else self.value_bytes
        if not (min(self.rank, self.prune_interval, room) > 0 and 0 <= self.prune_start <= self.prune_end <= 1):
            raise InputError(
                "An option of the method lowrank is out of range.",
                given=", ".join(f"{key}={value}" for key, value in self.options().items()),
                expected="0 <= prune_start <= prune_end <= 1, all others positive",
            )

    @property
    def format(self) -> Quantised:
        return Quantised()

    @property
    def learning_rate(self) -> float:
        return 2e-2

    def fit_into(self, value_bytes: int, layout: Layout) -> "LowRank":
        ranks = RANK_BYTES * len(layout.blocks)
        least = min(component_bytes(factor_shapes(block, 1)) for block in layout)
        if value_bytes - ranks < least:
            raise InputError(
                "The size is too small for one component of a path.",
                given=f"{value_bytes} bytes for values",
                expected=f"at least {ranks + least} bytes",
                next_step="raise --budget, select fewer tensors with --targets, or use --method sparse",
            )
        return replace(self, value_bytes=value_bytes - ranks)

    def build(self, weight: Tensor, blocks: tuple[Block, ...], generator: Generator) -> AbstractDelta:
        return ComponentsDelta(weight, blocks, rank=self.rank, generator=generator)

    def controller(self, deltas: Mapping[str, AbstractChange], layout: Layout) -> Controller:
        if self.value_bytes is None:
            return Controller()
        return GradualPruning(
            cast(list[AbstractPrunable], list(deltas.values())),
            self.value_bytes,
            start=self.prune_start,
            end=self.prune_end,
            interval=self.prune_interval,
        )
