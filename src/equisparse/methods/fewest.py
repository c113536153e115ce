"""Search for the fewest changed entries that cost nothing: removal goes on as long as the validation loss allows it.

The run begins with a dense stage. At its end, the validation loss is measured, and entries are removed down to the
first of the `LEVELS`. After some training the loss is measured again. If it is at most a tolerance above that of the
dense stage, the next level is tried. Otherwise the last level that was good enough is restored, and it is trained for
all steps that are left. Every stage is annealed to zero.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import cast

import torch
from torch import Tensor

from equisparse.blocks import Layout
from equisparse.methods.annealing import annealed_within
from equisparse.methods.base import Probes, Renewal, Trial
from equisparse.methods.natural import WARMUP, NaturalDescent
from equisparse.methods.pruning import entries_of, prune_deltas
from equisparse.methods.sparse_delta import SparseDelta
from equisparse.methods.stages import entries_at
from equisparse.methods.watch import GradientWatch

LEVELS = (0.1, 0.03, 0.01, 0.005)
"""Fractions of all parameters that are tried, one after the other."""
FALLBACK = 0.3
"""Fraction for a run in which the first level costs too much; on ethanol, removal down to it alone cost nothing."""
SHARE = 0.4
"""Length of a trial as a part of the steps that are left."""
FEWEST_STEPS = 50
"""Shortest trial; with fewer steps left, the search ends. Shorter trials are refused too often, and are then lost."""


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


class FewestEntries(GradientWatch):
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
    natural : bool
        Whether entries are trained by natural gradient after the dense stage.
    """

    def __init__(
        self,
        deltas: Sequence[SparseDelta],
        layout: Layout,
        *,
        dense_share: float,
        later_lr: float,
        tolerance: float,
        natural: bool = False,
    ) -> None:
        super().__init__(deltas)
        self._deltas, self._layout = deltas, layout
        self._descent = NaturalDescent(deltas)
        self._fallback = entries_at(FALLBACK, layout)
        counts = [entries_at(fraction, layout) for fraction in LEVELS]
        self._levels = [count for count in counts if 1 <= count < layout.numel]
        self._dense_share, self._later_lr, self._tolerance = dense_share, later_lr, tolerance
        self._natural = natural
        self._state: _State | None = None
        self._kept: list[tuple[Tensor, Tensor]] = []

    @property
    def trials(self) -> tuple[Trial, ...]:
        return () if self._state is None else self._state.trials

    def start_step(self, step: int, total: int, probes: Probes) -> Renewal:
        state = self._begun(total)
        if step != state.first or step == 0:
            return Renewal.NOTHING
        if state.restored:
            self._restore(torch.Generator().manual_seed(step))
        fewer = state.entries < entries_of(self._deltas)
        if fewer or (self._natural and state.restored):  # which has no curvature yet
            curvatures = prune_deltas(self._deltas, state.entries, probes, torch.Generator().manual_seed(step))
            if self._natural:
                self._descent.begin(curvatures, probes)
        return Renewal.PARAMETERS if fewer or state.restored else Renewal.NOTHING

    def after_step(self, step: int, total: int) -> None:
        if self._descent.has_begun:
            self._descent.step(self._annealed(step, total, WARMUP))

    def lr_factor(self, step: int, total: int, warmup: int) -> float:
        state = self._begun(total)
        factor = self._later_lr
        if state.level < 0 and not state.is_last:
            factor = 1.0 if self._dense_share else 0.0
        return factor * self._annealed(step, total, warmup)

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
            self._kept = [(delta.mask.clone(), delta.present()) for delta in self._deltas]
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
        return {"stage": asdict(self._state), "kept": self._kept, "descent": self._descent.state()}

    def load_state(self, state: Mapping[str, object]) -> None:
        if not state:
            return
        stage = dict(cast(Mapping[str, object], state["stage"]))
        trials = cast(Sequence[Mapping[str, object]], stage["trials"])
        stage["trials"] = tuple(Trial(**trial) for trial in trials)  # type: ignore[arg-type]
        self._state = _State(**stage)  # type: ignore[arg-type]
        self._kept = cast(list[tuple[Tensor, Tensor]], state["kept"])
        self._descent.load_state(cast(Mapping[str, object], state.get("descent", {})))

    def _annealed(self, step: int, total: int, warmup: int) -> float:
        """Factor of the learning rate of a stage."""
        state = self._begun(total)
        return annealed_within(step, state.first, state.end, warmup)

    def _begun(self, total: int) -> _State:
        """The present stage; at first the dense one."""
        if self._state is None:
            end = max(1, round(self._dense_share * total))
            self._state = _State(0, end, self._layout.numel, is_last=end >= total)
        if self._state.is_last:  # a run that is resumed may have got more steps
            self._state = replace(self._state, end=total)
        return self._state

    def _last_entries(self, trials: Sequence[Trial]) -> int:
        """Number of entries of the last stage; all of them if the dense stage diverged, which soon ends the run."""
        good = [trial.entries for trial in trials if trial.accepted]
        if not good:
            return self._layout.numel
        return self._fallback if min(good) == self._layout.numel else min(good)

    def _restore(self, generator: torch.Generator) -> None:
        """Let all deltas start from the change that was kept."""
        self._descent.end()
        for delta, (mask, change) in zip(self._deltas, self._kept, strict=True):
            delta.restore(mask, change, generator)
