"""Method `lowrank`: for every path as many components as it is worth, within a stated size (ours)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import torch
from torch import Generator, Tensor, nn

from equisparse.blocks import Block, Layout
from equisparse.errors import InputError
from equisparse.methods.base import (
    AbstractChange,
    AbstractDelta,
    AbstractWeightMethod,
    Controller,
    ParameterGroup,
    Stored,
)
from equisparse.methods.matrices import consecutive_matrices
from equisparse.methods.parametrization import Shapes, factor_shapes, factors, order_of_entries, product
from equisparse.methods.pruned import AbstractPrunable, GradualPruning

_LEVELS = 127


class ComponentsDelta(AbstractPrunable):
    """``W' = W + sum_k m_k a_k b_k^T`` for every block, with a mask m of the components that are kept.

    All a are zero at the start: exactly the base. Rows that the data do not reach, such as the embeddings of elements
    that are not in the data, have no gradient and stay there.

    Parameters
    ----------
    weight : Tensor
        Base weight, any shape.
    blocks : tuple of Block
        Tile the weight.
    rank : int
        Components of a block at the start; less where a block is smaller.
    generator : Generator
        For b.
    """

    order: Tensor
    squared_gradient: Tensor

    def __init__(self, weight: Tensor, blocks: tuple[Block, ...], *, rank: int, generator: Generator) -> None:
        shapes = [factor_shapes(block, rank) for block in blocks]
        costs = [torch.full((each[1][0],), component_bytes(each)) for each in shapes]
        super().__init__(torch.cat(costs), weight)
        self._shapes = shapes
        self.register_buffer("order", order_of_entries(blocks), persistent=False)
        self.register_buffer("squared_gradient", torch.zeros_like(self.mask))
        ups = [torch.randn(up, generator=generator, dtype=torch.float64) / up[1] ** 0.5 for _, up in shapes]
        self.down = nn.Parameter(weight.new_zeros(sum(math.prod(down) for down, _ in shapes)))
        self.up = nn.Parameter(torch.cat([up.reshape(-1) for up in ups]).to(weight))

    def forward(self, weight: Tensor) -> Tensor:
        kept = torch.cat([m.expand(down).reshape(-1) for m, (down, _) in zip(self._masks(), self._shapes, strict=True)])
        return weight + product(self.down * kept, self.up, self._shapes, self.order).view_as(weight)

    def stored(self) -> Stored:
        pairs = zip(self._masks(), factors(self.down.detach(), self.up.detach(), self._shapes), strict=True)
        kept = [(whole_numbers(a.T[m > 0]), whole_numbers(b[m > 0])) for m, (a, b) in pairs]
        return {
            "ranks": torch.tensor([len(up) for _, (up, _) in kept], dtype=torch.int16),
            "down": torch.cat([down.T.reshape(-1) for (down, _), _ in kept]).cpu(),
            "up": torch.cat([up.reshape(-1) for _, (up, _) in kept]).cpu(),
            "size": torch.cat([a * b for (_, a), (_, b) in kept]).to("cpu", torch.float32),
        }

    def groups(self) -> list[ParameterGroup]:
        downs, ups = zip(*self._shapes, strict=True)
        matrices = {self.down: consecutive_matrices(downs), self.up: consecutive_matrices(ups)}
        return [ParameterGroup("factors", (self.down, self.up), matrices=matrices)]

    def saliency(self) -> Tensor:
        return self.squared_gradient * self.mask

    @torch.no_grad()
    def observe_gradient(self, memory: float) -> None:
        if self.up.grad is not None:
            terms = factors(self.down, self.up * self.up.grad, self._shapes)
            self.squared_gradient.lerp_(torch.cat([by_entry.sum(1) for _, by_entry in terms]).square(), 1 - memory)

    def _masks(self) -> tuple[Tensor, ...]:
        """The mask of every block."""
        return torch.split(self.mask, [r for _, (r, _) in self._shapes])


@dataclass(frozen=True)
class LowRank(AbstractWeightMethod):
    """``W' = W + A B`` for every block, with ranks that share a size so that the loss loses least.

    All blocks start at the same rank. Their components ``a_k b_k^T`` are then pruned together, on a schedule, by what
    the loss would lose without them per stored byte, until what is left fits (in kind: Zhang et al., AdaLoRA, arXiv
    2303.10512). Stores ``mul_in + columns`` whole numbers of one byte and one size per component, and a rank per block.

    Parameters
    ----------
    value_bytes : int or None
        Target: bytes of the stored factors together; by default nothing is pruned.
    rank : int
        At the start.
    prune_start, prune_end : float
        Part of the run over which the components shrink to their target.
    prune_interval : int
        Steps between two prunings.
    """

    name: ClassVar[str] = "lowrank"
    parts: ClassVar[tuple[str, ...]] = ("ranks", "down", "up", "size")

    value_bytes: int | None = None
    rank: int = 64
    prune_start: float = 0.1
    prune_end: float = 0.75
    prune_interval: int = 10

    def __post_init__(self) -> None:
        if not (min(self.rank, self.prune_interval) > 0 and 0 <= self.prune_start <= self.prune_end <= 1):
            raise InputError(
                "An option of the method lowrank is out of range.",
                given=", ".join(f"{key}={value}" for key, value in self.options().items()),
                expected="0 <= prune_start <= prune_end <= 1, all others positive",
            )

    @property
    def learning_rate(self) -> float:
        return 2e-2

    def fit_into(self, value_bytes: int, layout: Layout) -> "LowRank":
        ranks = 2 * len(list(layout))
        least = min(component_bytes(factor_shapes(block, 1)) for block in layout)
        if value_bytes - ranks < least:
            raise InputError(
                "No component of a path fits into the size.",
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
            dense_lr=1.0,
        )

    def part_shapes(self, shape: tuple[int, ...], blocks: tuple[Block, ...]) -> Mapping[str, tuple[int, ...]]:
        return {}

    def check_stored(self, stored: Mapping[str, Tensor], shape: tuple[int, ...], blocks: tuple[Block, ...]) -> None:
        super().check_stored(stored, shape, blocks)
        ranks, largest = stored["ranks"], [factor_shapes(block, block.numel)[1][0] for block in blocks]
        if ranks.dtype != torch.int16 or ranks.shape != (len(blocks),):
            raise ValueError(f"ranks have the shape {tuple(ranks.shape)}, not {(len(blocks),)}")
        if not all(0 <= rank <= most for rank, most in zip(ranks.tolist(), largest, strict=True)):
            raise ValueError("ranks that the blocks do not have")
        sizes = zip(*([math.prod(part) for part in each] for each in stored_shapes(blocks, ranks)), strict=True)
        numbers = [*map(sum, sizes), int(ranks.sum())]
        for part, number in zip(("down", "up", "size"), numbers, strict=True):
            is_value = stored[part].is_floating_point() if part == "size" else stored[part].dtype == torch.int8
            if stored[part].shape != (number,) or not is_value:
                raise ValueError(f"{part} has the shape {tuple(stored[part].shape)}, not {(number,)}")

    def apply(self, weight: Tensor, stored: Mapping[str, Tensor], blocks: tuple[Block, ...]) -> Tensor:
        down, up, size = (stored[part].to(weight) for part in ("down", "up", "size"))
        shapes, order = stored_shapes(blocks, stored["ranks"]), order_of_entries(blocks).to(weight.device)
        sizes = torch.split(size, [rank for _, (rank, _) in shapes])
        scaled = [(each.expand(shape)).reshape(-1) for each, (shape, _) in zip(sizes, shapes, strict=True)]
        return weight.detach() + product(down * torch.cat(scaled), up, shapes, order).view_as(weight)


def component_bytes(shapes: Shapes) -> int:
    """Stored bytes of one component of a block whose factors have these shapes: a byte a value, and its size."""
    (inputs, _), (_, columns) = shapes
    return inputs + columns + 4


def stored_shapes(blocks: Sequence[Block], ranks: Tensor) -> list[Shapes]:
    """Shapes of the stored factors of every block."""
    whole = (factor_shapes(block, 1) for block in blocks)
    return [((inputs, r), (r, columns)) for ((inputs, _), (_, columns)), r in zip(whole, ranks.tolist(), strict=True)]


def whole_numbers(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows as whole numbers from -127 to 127, int8, and what each row has to be multiplied by."""
    size = rows.abs().amax(1) / _LEVELS
    return (rows / torch.where(size > 0, size, 1.0)[:, None]).round().to(torch.int8), size
