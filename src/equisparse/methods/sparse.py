"""Method `sparse`: few path weights change: a stated fraction, what fits a size, or the fewest that cost nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast, final

import torch
from torch import Generator, Tensor

from equisparse.blocks import Block, Layout
from equisparse.errors import InputError
from equisparse.formats.entries import Entries, entries_in
from equisparse.methods.base import AbstractChange, AbstractDelta, AbstractWeightMethod, Controller
from equisparse.methods.by_length import ByLength
from equisparse.methods.fewest import FALLBACK, LEVELS, FewestEntries
from equisparse.methods.sparse_delta import SparseDelta
from equisparse.methods.stages import (
    LAST_STAGE_ONCE,
    MORE_WAYPOINTS,
    SHORT_WAYPOINTS,
    WAYPOINT_LR,
    WAYPOINTS,
    Stage,
    StagedPruning,
    between_dense_and,
    entries_at,
    stages_to,
)

_DTYPES = {"auto": torch.float16, "float16": torch.float16, "full": torch.float32}
"""Choice of `stored_values` -> type of the stored values where a size is given."""


@dataclass(frozen=True)
class _Rates:
    """Learning rate of a run, and that of its last stage as a multiple of it."""

    first: float
    last: float


_RATES = {"auto": _Rates(0.02, 1.5), "general": _Rates(0.02, 1.5), "molecule": _Rates(0.05, 0.8)}
"""Choice of `rates` -> learning rates; the higher ones spoil energies of crystals (docs/choosing.md)."""
_ANNEALING = ("auto", "once", "stages")
FEW_STEPS = 500
"""Runs of fewer steps are short: they have no search, and other stages (docs/method.md says what was measured)."""
FEWEST_STEPS = 200
"""Runs of fewer steps have none to spare for the probes that natural gradient needs."""
_SHARE, _ONCE_SHARE, _ONCE_SHARE_WITHOUT_TARGET = 0.5, 0.4, 0.7
"""Default part of a run in which all entries may change: annealed in stages, or once with or without a target."""
_NATURAL_SHARES, _SHORT_NATURAL_SHARES = (0.6, 0.6, 0.4), (0.8, 0.7, 0.6)
"""That of a long and of a short run with natural gradient whose number of entries lies below none, one or more of the
`WAYPOINTS`: fewer entries need more of the steps."""
NATURAL_UP_TO = 0.3
"""Fraction of all parameters up to which natural gradient trains the entries. With more of them, each would be coupled
to only a few others in the matrices that are inverted."""


@final
@dataclass(frozen=True)
class Sparse(AbstractWeightMethod):
    """Sparse change ``W' = W + dW`` with few changed entries; starts exactly at the base.

    All entries are trained at first. Then entries are removed in a few steps by `equisparse.methods.surgeon.prune`,
    and those that remain are trained on. The adapter stores an index and a value per changed entry. Give
    one of `changed` and `value_bytes`; without both, the fewest entries that cost nothing are searched, see
    `equisparse.methods.fewest`.

    Parameters
    ----------
    changed : float or None
        Changed entries as a fraction of all parameters of the base model, such as 0.03.
    value_bytes : int or None
        Bytes of the stored indices and values together.
    rank : int or None
        Rank of the two factors per path whose product is trained; entry by entry if None.
    dense_share : float or None
        Part of the run in which all entries may change; by default 0.5, or 0.6 if natural gradient follows. In a short
        run it is 0.8 if natural gradient follows, otherwise 0.4, or 0.7 without a target. If natural gradient is to
        train 5 % or less, these parts are smaller.
    annealing : {"auto", "once", "stages"}
        Whether the learning rate falls to zero once, over the whole run, or in every stage, so that the end of each is
        a finished model. A search and natural gradient need such stages. With ``auto``, runs of fewer than 500 steps
        (200 if natural gradient follows) are annealed once.
    last_lr : float or None
        Learning rate of the last stage, as a multiple of that of the run, where it is annealed in every stage; by
        default that of `rates`.
    rates : {"auto", "molecule", "general"}
        Defaults of training: those for frames of one molecule, with higher learning rates and natural gradient for few
        entries, or those for any frames. With ``auto`` the frames decide.
    tolerance : float
        In the search for the fewest entries, the largest relative rise of the validation loss above that of the part
        in which all entries change.
    stored_values : {"auto", "float16", "full"}
        Type of the stored values. With ``auto`` it is float16; a tensor whose change that would alter by more than
        0.05 % keeps the precision of the model, unless `value_bytes` is given. With ``full`` it is the precision of
        the model, or float32 if `value_bytes` is given. Errors are measured as stored.
    """

    name: ClassVar[str] = "sparse"

    changed: float | None = None
    value_bytes: int | None = None
    rank: int | None = 64
    dense_share: float | None = None
    annealing: str = "auto"
    last_lr: float | None = None
    rates: str = "auto"
    tolerance: float = 0.02
    stored_values: str = "auto"

    def __post_init__(self) -> None:
        if self.changed is not None and self.value_bytes is not None:
            raise InputError(
                "changed and value_bytes are mutually exclusive.", given=f"{self.changed} and {self.value_bytes}"
            )
        for name, known in (("stored_values", _DTYPES), ("rates", _RATES), ("annealing", _ANNEALING)):
            if getattr(self, name) not in known:
                raise InputError(
                    f"The option {name} has no such value.",
                    given=str(getattr(self, name)),
                    expected=" or ".join(known),
                )
        rank = 1 if self.rank is None else self.rank
        if not (0 <= (self.dense_share or 0) < 1 and min(self._last_lr, rank) > 0 and 0 <= self.tolerance < math.inf):
            raise InputError(
                "An option of the method sparse is out of range.",
                given=", ".join(f"{key}={value}" for key, value in self.options().items()),
                expected="0 <= dense_share < 1, tolerance at least 0, all others positive",
            )

    @property
    def format(self) -> Entries:
        return Entries()

    def fit_into(self, value_bytes: int, layout: Layout) -> "Sparse":
        return replace(self, value_bytes=value_bytes, changed=None)

    def resolve(self, layout: Layout) -> "Sparse":
        if self._searches:
            return self
        if not math.isfinite(self.changed or 0.0):
            raise InputError("The changed fraction is not a number.", given=str(self.changed))
        if not 1 <= self._capacity(layout) <= layout.numel:
            raise InputError(
                "The number of changed entries is out of reach.",
                given=f"changed = {self.changed}" if self.value_bytes is None else f"{self.value_bytes} bytes",
                expected=f"1 to {layout.numel} changed entries (all selected ones) of {layout.total_parameters}, "
                f"a fraction of at most {math.floor(1e4 * layout.numel / layout.total_parameters) / 1e4:g}",
                next_step="choose another fraction or size, or select more tensors with --targets",
            )
        return self

    @property
    def learning_rate(self) -> float:
        return _RATES[self.rates].first

    def suited_to(self, *, one_molecule: bool) -> "Sparse":
        if self.rates != "auto":
            return self
        return replace(self, rates="molecule" if one_molecule else "general")

    def build(self, weight: Tensor, blocks: tuple[Block, ...], generator: Generator) -> AbstractDelta:
        return SparseDelta(weight, blocks, rank=self.rank, storage=self._storage(weight), generator=generator)

    def controller(self, deltas: Mapping[str, AbstractChange], layout: Layout) -> Controller:
        trained = cast(list[SparseDelta], list(deltas.values()))
        once, stages = self._annealed_once(trained, layout), self._annealed_in_stages(trained, layout)
        if self.annealing != "auto":
            return once if self.annealing == "once" else stages
        if not self._is_natural(layout):
            return ByLength(once, stages, fewest=FEW_STEPS)
        return ByLength(once, ByLength(self._short(trained, layout), stages, fewest=FEW_STEPS), fewest=FEWEST_STEPS)

    def _short(self, deltas: Sequence[SparseDelta], layout: Layout) -> Controller:
        """Stages of a short run with natural gradient, which has no steps to spare for a search or more waypoints."""
        count, share = self._count(layout), self._natural_share(_SHORT_NATURAL_SHARES, layout)
        stages = stages_to(count, layout, dense_share=share, waypoints=SHORT_WAYPOINTS, natural=True)
        return StagedPruning(deltas, stages, once=False)

    def _annealed_once(self, deltas: Sequence[SparseDelta], layout: Layout) -> Controller:
        """One annealing over the whole run; without a target, to the fraction that cost nothing elsewhere."""
        if not self._searches:
            share, count = self._dense_share(_ONCE_SHARE), self._capacity(layout)
            stages = stages_to(count, layout, dense_share=share, waypoints=MORE_WAYPOINTS, last=LAST_STAGE_ONCE)
            return StagedPruning(deltas, stages, once=True)
        entries = entries_at(FALLBACK, layout)
        share = self._dense_share(_ONCE_SHARE_WITHOUT_TARGET)
        return StagedPruning(deltas, [Stage(layout.numel, share), Stage(entries, 1 - share)], once=True)

    def _annealed_in_stages(self, deltas: Sequence[SparseDelta], layout: Layout) -> Controller:
        """One annealing per stage; without a target, a search."""
        natural = self._is_natural(layout)
        share = self._natural_share(_NATURAL_SHARES, layout) if natural else self._dense_share(_SHARE)
        if not self._searches:
            count, last_lr = self._capacity(layout), self._last_lr
            stages = stages_to(count, layout, dense_share=share, last_lr=last_lr, natural=natural)
            return StagedPruning(deltas, stages, once=False)
        return FewestEntries(
            deltas,
            layout,
            dense_share=share,
            later_lr=WAYPOINT_LR * self._last_lr,
            tolerance=self.tolerance,
            natural=natural,
        )

    def _dense_share(self, default: float) -> float:
        """Part of the run in which all entries may change."""
        return default if self.dense_share is None else self.dense_share

    def _natural_share(self, defaults: Sequence[float], layout: Layout) -> float:
        """That of a run with natural gradient."""
        passed = between_dense_and(self._count(layout), layout, WAYPOINTS)
        return self._dense_share(defaults[min(len(passed), len(defaults) - 1)])

    def _count(self, layout: Layout) -> int:
        """Number of entries of a stated target, or the first one of a search."""
        return entries_at(LEVELS[0], layout) if self._searches else self._capacity(layout)

    def _is_natural(self, layout: Layout) -> bool:
        """True if entries are trained by natural gradient, which helped for one molecule only (docs/method.md)."""
        return self.rates == "molecule" and self._count(layout) <= round(NATURAL_UP_TO * layout.total_parameters)

    @property
    def _last_lr(self) -> float:
        """Learning rate of the last stage, as a multiple of that of the run."""
        return _RATES[self.rates].last if self.last_lr is None else self.last_lr

    @property
    def _searches(self) -> bool:
        """Whether the number of changed entries is searched."""
        return self.changed is None and self.value_bytes is None

    def _storage(self, weight: Tensor) -> torch.dtype | None:
        """Type of the stored values; None if it is chosen by the rounding of each tensor."""
        if self.value_bytes is not None or self.stored_values == "float16":
            return _DTYPES[self.stored_values]
        return weight.dtype if self.stored_values == "full" else None

    def _capacity(self, layout: Layout) -> int:
        """Number of entries that change."""
        if self.value_bytes is not None:
            return min(layout.numel, entries_in(self.value_bytes, layout, _DTYPES[self.stored_values]))
        return round((self.changed or 0) * layout.total_parameters)
