"""Search for the fewest changed entries that cost nothing: removal goes on as long as the validation loss allows it.

The run begins with a dense stage. At its end, the validation loss is measured, and entries are removed down to the
first of the `LEVELS`. After some training the loss is measured again. If it is at most a tolerance above that of the
dense stage, the next level is tried. Otherwise the last level that was good enough is restored, and it is trained for
all steps that are left. Every stage is annealed to zero.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import cast

from torch import Tensor

from equisparse.blocks import Layout
from equisparse.methods.annealing import annealed
from equisparse.methods.base import Controller, Probes, Trial
from equisparse.methods.pruning import entries_of, prune_deltas
from equisparse.methods.sparse_delta import SparseDelta
from equisparse.methods.stages import Stage, StagedPruning

LEVELS = (0.1, 0.03, 0.01, 0.005)
"""Fractions of all parameters that are tried, one after the other."""
FALLBACK = 0.3
"""Fraction if the first level costs too much, or if the run is too short for a trial; on ethanol it cost nothing."""
SHARE = 0.4
"""Length of a trial as a part of the steps that are left."""
FEWEST_STEPS = 50
"""Shortest trial; with fewer steps left, the search ends. Shorter trials are refused too often, and are then lost."""
SHORT_DENSE_SHARE = 0.7
"""Part of a run without a trial in which all entries may change."""


@dataclass(frozen=True)
class _State:
    """Stage of a search.

    Parameters
    ----------
    first, end : int
        First step of the stage, and the step after its last one.
    entries : int
        Number of entries that may change in the stage.
    dense_loss : float or None
        Validation loss at the end of the dense stage; None before.
    level : int
        Index of the level that is tried; -1 in the dense stage.
    is_last : bool
        Whether the stage lasts until the end of the run.
    restored : bool
        Whether the stage starts from the kept change instead of the present one.
    trials : tuple of Trial
        What was tried so far.
    """

    first: int
    end: int
    entries: int
    dense_loss: float | None = None
    level: int = -1
    is_last: bool = False
    restored: bool = False
    trials: tuple[Trial, ...] = ()


class FewestEntries(Controller):
    """Controller of the search.

    Parameters
    ----------
    deltas : sequence of SparseDelta
    layout : Layout
        Selected tensors.
    dense_share : float
        Part of the run in which all entries may change; with 0, a first step without training measures the loss.
    later_lr : float
        Learning rate at the start of all stages after it, as a multiple of that of the run.
    tolerance : float
        Largest relative rise of the validation loss above that of the dense stage.
    """

    def __init__(
        self, deltas: Sequence[SparseDelta], layout: Layout, *, dense_share: float, later_lr: float, tolerance: float
    ) -> None:
        self._deltas, self._numel = deltas, layout.numel
        self._fallback = min(layout.numel, round(FALLBACK * layout.total_parameters))
        counts = [round(fraction * layout.total_parameters) for fraction in LEVELS]
        self._levels = [count for count in counts if 1 <= count < layout.numel]
        self._dense_share, self._later_lr, self._tolerance = dense_share, later_lr, tolerance
        self._state: _State | None = None
        self._kept: list[tuple[Tensor, Tensor]] = []

    @property
    def trials(self) -> tuple[Trial, ...]:
        return () if self._state is None else self._state.trials

    def start_step(self, step: int, total: int, probes: Probes) -> bool:
        state = self._begun(total)
        if step != state.first or step == 0:
            return False
        if state.restored:
            self._restore()
        if state.entries < entries_of(self._deltas):
            prune_deltas(self._deltas, state.entries, probes)
            return True
        return state.restored

    def lr_factor(self, step: int, total: int, warmup: int) -> float:
        state = self._begun(total)
        factor = self._later_lr
        if state.level < 0 and not state.is_last:
            factor = 1.0 if self._dense_share else 0.0
        length = state.end - state.first
        return factor * annealed(step - state.first, length, min(warmup, length // 4))

    def ends_stage(self, step: int, total: int) -> bool:
        state = self._begun(total)
        return step == state.end and not state.is_last

    def end_stage(self, step: int, total: int, valid_loss: Callable[[], float]) -> None:
        """Judge the stage that ends, and choose the next one."""
        state, loss = self._begun(total), valid_loss()
        dense = loss if state.dense_loss is None else state.dense_loss
        accepted = loss <= (1 + self._tolerance) * dense
        trials = (*state.trials, Trial(state.entries, loss, accepted))
        if accepted:
            self._kept = [(delta.mask.clone(), delta.change().detach().clone()) for delta in self._deltas]
        state = replace(state, first=step, dense_loss=dense, trials=trials)
        length = round(SHARE * (total - step))
        if accepted and state.level + 1 < len(self._levels) and length >= FEWEST_STEPS:
            entries = self._levels[state.level + 1]
            self._state = replace(state, end=step + length, entries=entries, level=state.level + 1)
            return
        self._state = replace(
            state,
            end=total,
            entries=self._last_entries(trials),
            is_last=True,
            restored=bool(self._kept) and not accepted,
        )

    def ready(self, step: int, total: int) -> bool:
        state = self._begun(total)
        return state.is_last and step > state.first

    def state(self) -> dict[str, object]:
        if self._state is None:
            return {}
        return {"stage": asdict(self._state), "kept": self._kept}

    def load_state(self, state: Mapping[str, object]) -> None:
        if not state:
            return
        stage = dict(cast(Mapping[str, object], state["stage"]))
        trials = cast(Sequence[Mapping[str, object]], stage["trials"])
        stage["trials"] = tuple(Trial(**trial) for trial in trials)  # type: ignore[arg-type]
        self._state = _State(**stage)  # type: ignore[arg-type]
        self._kept = cast(list[tuple[Tensor, Tensor]], state["kept"])

    def _begun(self, total: int) -> _State:
        """The present stage; at first the dense one."""
        if self._state is None:
            end = max(1, round(self._dense_share * total))
            self._state = _State(0, end, self._numel, is_last=end >= total)
        if self._state.is_last:  # a run that is resumed may have got more steps
            self._state = replace(self._state, end=total)
        return self._state

    def _last_entries(self, trials: Sequence[Trial]) -> int:
        """Number of entries of the last stage; all of them if the dense stage diverged, which soon ends the run."""
        good = [trial.entries for trial in trials if trial.accepted]
        if not good:
            return self._numel
        return self._fallback if min(good) == self._numel else min(good)

    def _restore(self) -> None:
        """Let all deltas train on from the change that was kept."""
        for delta, (mask, change) in zip(self._deltas, self._kept, strict=True):
            delta.restore(mask, change)


class FewestOrFallback(Controller):
    """Search for the fewest entries; a run that is too short for a trial goes down to the `FALLBACK` instead.

    Such a run is annealed to zero once, and entries are removed late, so that its errors are close to those of a run
    that changes all of them.

    Parameters
    ----------
    deltas, layout, dense_share, later_lr, tolerance
        As in `FewestEntries`.
    """

    def __init__(
        self, deltas: Sequence[SparseDelta], layout: Layout, *, dense_share: float, later_lr: float, tolerance: float
    ) -> None:
        self._dense_share = dense_share
        self._search = FewestEntries(deltas, layout, dense_share=dense_share, later_lr=later_lr, tolerance=tolerance)
        fallback, dense = round(FALLBACK * layout.total_parameters), SHORT_DENSE_SHARE if dense_share else 0.0
        stages = [Stage(layout.numel, dense), Stage(min(layout.numel, fallback), 1 - dense)]
        self._short = StagedPruning(deltas, stages, later_lr=None)
        self._is_short: bool | None = None

    @property
    def trials(self) -> tuple[Trial, ...]:
        return self._search.trials

    def start_step(self, step: int, total: int, probes: Probes) -> bool:
        return self._chosen(total).start_step(step, total, probes)

    def lr_factor(self, step: int, total: int, warmup: int) -> float:
        return self._chosen(total).lr_factor(step, total, warmup)

    def ends_stage(self, step: int, total: int) -> bool:
        return self._chosen(total).ends_stage(step, total)

    def end_stage(self, step: int, total: int, valid_loss: Callable[[], float]) -> None:
        self._chosen(total).end_stage(step, total, valid_loss)

    def ready(self, step: int, total: int) -> bool:
        return self._chosen(total).ready(step, total)

    def state(self) -> dict[str, object]:
        return {"is_short": self._is_short, "search": self._search.state()}

    def load_state(self, state: Mapping[str, object]) -> None:
        if state:
            self._is_short = cast(bool | None, state["is_short"])
            self._search.load_state(cast(Mapping[str, object], state["search"]))

    def _chosen(self, total: int) -> Controller:
        """The controller of this run; a finished run that gets more steps keeps the one that it had."""
        if self._is_short is None:
            self._is_short = first_trial(total, self._dense_share) < FEWEST_STEPS
        return self._short if self._is_short else self._search


def first_trial(total: int, dense_share: float) -> int:
    """Number of steps of the first trial of a run of `total` steps."""
    return round(SHARE * (total - max(1, round(dense_share * total))))
