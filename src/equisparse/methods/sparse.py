"""Method `sparse`: few entries of the path weights change (arXiv 2606.18691), as many as decay leaves or asked for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import torch
from torch import Generator, Tensor

from equisparse.blocks import Block, Layout
from equisparse.errors import InputError
from equisparse.methods import entries
from equisparse.methods.base import AbstractChange, AbstractDelta, AbstractWeightMethod, Controller
from equisparse.methods.parametrization import AbstractParametrization, EntryByEntry, Product
from equisparse.methods.pruned import GradualPruning, PrunedDelta
from equisparse.methods.threshold import GradientWatch, SoftThresholdDelta

_COMPACT = torch.float16

TAU_DECAY = {"L": 0.01, "H": 0.3}
"""The paper's two regimes: L is the most accurate, H the most sparse."""


@dataclass(frozen=True)
class Sparse(AbstractWeightMethod):
    """``W' = W + S(dW, sigmoid(tau))`` as published, or with a stated number of changed entries.

    Stores an index and a value per changed entry. As published the start changes every weight by about
    ``start_width``; with `changed` or `entries` it is exactly the base.

    Parameters
    ----------
    regime : {"L", "H"}
        Decay of tau; without meaning if a target is given.
    changed : float or None
        Target: changed entries as a fraction of all parameters of the base model.
    value_bytes : int or None
        Target: bytes of the stored indices and values together; values are then stored in half precision.
    rank : int or None
        dW is trained as a product of two factors of this rank per path, or entry by entry (as published) if None.
    tau_per : {"tensor", "path"}
        One threshold per weight tensor, or one per path of it.
    start_width, start_threshold, tau_lr : float
        See `SoftThresholdDelta`.
    prune_start, prune_end : float
        Part of the run over which the support shrinks to its target.
    prune_interval : int
        Steps between two prunings.
    dense_lr : float
        Learning rate before pruning as a fraction of that after it.
    """

    name: ClassVar[str] = "sparse"
    parts: ClassVar[tuple[str, ...]] = ("index", "value")

    regime: str = "L"
    changed: float | None = None
    value_bytes: int | None = None
    rank: int | None = 64
    tau_per: str = "tensor"
    start_width: float = 1e-3
    start_threshold: float = 1e-4
    tau_lr: float = 1e-2
    prune_start: float = 0.1
    prune_end: float = 0.75
    prune_interval: int = 10
    dense_lr: float = 0.6

    def __post_init__(self) -> None:
        _check_choice("regime", self.regime, tuple(TAU_DECAY))
        _check_choice("tau_per", self.tau_per, ("tensor", "path"))
        ordered = 0 <= self.prune_start <= self.prune_end <= 1
        rank = 1 if self.rank is None else self.rank
        positive = min(self.prune_interval, self.start_width, self.tau_lr, self.dense_lr, rank) > 0
        if not (ordered and positive and 0 < self.start_threshold < 1):
            raise InputError(
                "An option of the method sparse is out of range.",
                given=", ".join(f"{key}={value}" for key, value in self.options().items()),
                expected="0 <= prune_start <= prune_end <= 1, 0 < start_threshold < 1, all others positive",
            )

    @property
    def has_target(self) -> bool:
        """Whether a fraction or a size was asked for."""
        return self.changed is not None or self.value_bytes is not None

    @property
    def learning_rate(self) -> float:
        return 3e-2 if self.has_target else 2e-2

    def fit_into(self, value_bytes: int, layout: Layout) -> "Sparse":
        return replace(self, value_bytes=value_bytes, changed=None)

    def resolve(self, layout: Layout) -> "Sparse":
        if math.isnan(self.changed or 0.0):
            raise InputError("The changed fraction is no number.", given=str(self.changed))
        sizes = [layout.size_of(name) for name in layout.tensors]
        least, most = min(map(self._cost, sizes)), sum(size * self._cost(size) for size in sizes)
        if self.has_target and not least <= self._capacity(layout) <= most:
            raise InputError(
                "The asked number of changed entries is out of reach.",
                given=f"changed = {self.changed}" if self.value_bytes is None else f"{self.value_bytes} bytes",
                expected=f"changes of 1 to {layout.numel} entries: the selected ones of {layout.total_parameters}",
                next_step="choose another fraction or size, or select more tensors with --targets",
            )
        return self

    def build(self, weight: Tensor, blocks: tuple[Block, ...], generator: Generator) -> AbstractDelta:
        raw = self._raw(weight, blocks, generator)
        if self.has_target:
            storage = None if self.value_bytes is None else _COMPACT
            return PrunedDelta(weight, raw, storage, self._cost(weight.numel()))
        return SoftThresholdDelta(
            weight,
            blocks,
            raw,
            per_path=self.tau_per == "path",
            start_threshold=self.start_threshold,
            tau_decay=TAU_DECAY[self.regime],
            tau_lr=self.tau_lr,
        )

    def part_shapes(self, shape: tuple[int, ...], blocks: tuple[Block, ...]) -> Mapping[str, tuple[int, ...]]:
        return {}

    def check_stored(self, stored: Mapping[str, Tensor], shape: tuple[int, ...], blocks: tuple[Block, ...]) -> None:
        super().check_stored(stored, shape, blocks)
        entries.check(stored, math.prod(shape))

    def apply(self, weight: Tensor, stored: Mapping[str, Tensor], blocks: tuple[Block, ...]) -> Tensor:
        return entries.add(weight, stored)

    def controller(self, deltas: Mapping[str, AbstractChange], layout: Layout) -> Controller:
        if not self.has_target:
            return GradientWatch(cast(list[SoftThresholdDelta], list(deltas.values())))
        return GradualPruning(
            cast(list[PrunedDelta], list(deltas.values())),
            self._capacity(layout),
            start=self.prune_start,
            end=self.prune_end,
            interval=self.prune_interval,
            dense_lr=self.dense_lr,
        )

    def _raw(self, weight: Tensor, blocks: tuple[Block, ...], generator: Generator) -> AbstractParametrization:
        """DW at its start: small where a threshold has to let gradients pass, otherwise zero."""
        width = 0.0 if self.has_target else self.start_width
        if self.rank is None:
            return EntryByEntry(weight, blocks, width=width, generator=generator)
        return Product(weight, blocks, rank=self.rank, width=width, generator=generator)

    def _capacity(self, layout: Layout) -> int:
        """What may be spent on entries, in the unit of `_cost`."""
        return (
            self.value_bytes if self.value_bytes is not None else round((self.changed or 0) * layout.total_parameters)
        )

    def _cost(self, numel: int) -> int:
        """Cost of one entry of a tensor of `numel` entries: its stored bytes, or 1 where entries are counted."""
        return 1 if self.value_bytes is None else entries.bytes_per_entry(numel, _COMPACT.itemsize)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise InputError if `value` is none of `choices`."""
    if value not in choices:
        raise InputError(f"The option {name} has no such value.", given=value, expected=" or ".join(choices))
