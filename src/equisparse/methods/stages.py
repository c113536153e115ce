"""Stages of a run with fewer and fewer changed entries, and the controller that goes through them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from equisparse.blocks import Layout
from equisparse.methods.annealing import annealed, annealed_within
from equisparse.methods.base import Probes, Renewal
from equisparse.methods.natural import WARMUP, NaturalDescent
from equisparse.methods.pruning import entries_of, prune_deltas
from equisparse.methods.sparse_delta import SparseDelta
from equisparse.methods.watch import GradientWatch

WAYPOINTS = (0.1, 0.03, 0.01, 0.003)
"""Fractions of all parameters at which a run with fewer entries stays for a while."""
SHORT_WAYPOINTS = WAYPOINTS[1:]
"""Those of a short run that ends with natural gradient: a stage at 10 % takes more steps than it saves."""
MORE_WAYPOINTS = (0.3, *WAYPOINTS)
"""Those of a run that is annealed once: where the rate does not rise again, smaller removals disturb less."""
WAYPOINT_LR = 0.75
"""Learning rate at a waypoint, as a multiple of that of the last stage."""
LAST_STAGE, LAST_STAGE_ONCE = 3, 4
"""Shortest length of the last stage, and that in a run that is annealed once. The stage at the first waypoint has
length 1, the next one 2, and so on, because fewer entries need more steps."""


@dataclass(frozen=True)
class Stage:
    """Part of a run with a constant number of changed entries.

    Parameters
    ----------
    entries : int
        Number of entries that may change.
    share : float
        Part of all steps of the run.
    lr : float
        Learning rate of factors at the start of the stage, as a multiple of that of the run.
    natural : bool
        Whether the entries are trained by natural gradient.
    """

    entries: int
    share: float
    lr: float = 1.0
    natural: bool = False


def entries_at(fraction: float, layout: Layout) -> int:
    """Number of entries of a fraction of all parameters, at most all selected ones."""
    return min(layout.numel, round(fraction * layout.total_parameters))


def between_dense_and(entries: int, layout: Layout, waypoints: Sequence[float]) -> list[int]:
    """Numbers of entries at those of some waypoints that a run to a number of entries passes."""
    counts = [entries_at(fraction, layout) for fraction in waypoints]
    return [count for count in counts if 1.5 * entries < count < layout.numel]


def stages_to(
    entries: int,
    layout: Layout,
    *,
    dense_share: float,
    last_lr: float = 1.0,
    waypoints: Sequence[float] = WAYPOINTS,
    last: int = LAST_STAGE,
    natural: bool = False,
) -> list[Stage]:
    """Stages of a run that ends with a number of changed entries.

    Parameters
    ----------
    entries : int
    layout : Layout
        Selected tensors.
    dense_share : float
        Part of the run in which all entries may change.
    last_lr : float
        Learning rate of the last stage, as a multiple of that of the first one.
    waypoints : sequence of float
        Fractions of all parameters at which the run stays for a while.
    last : int
        Shortest length of the last stage; that at the first waypoint has length 1.
    natural : bool
        Whether entries are trained by natural gradient after the dense stage.
    """
    between = between_dense_and(entries, layout, waypoints)
    lengths = [*range(1, len(between) + 1), max(last, len(between) + 1)]
    shares = [(1 - dense_share) * length / sum(lengths) for length in lengths]
    stages = [Stage(layout.numel, dense_share)]
    for count, share in zip(between, shares[:-1], strict=True):
        stages.append(Stage(count, share, WAYPOINT_LR * last_lr, natural))
    return [*stages, Stage(entries, shares[-1], last_lr, natural)]


class StagedPruning(GradientWatch):
    """Training in stages; at the start of each, entries of all deltas together are removed by `prune_deltas`.

    Parameters
    ----------
    deltas : sequence of SparseDelta
    stages : sequence of Stage
        In order; the shares add up to 1, and the first stage has all entries.
    once : bool
        Whether the learning rate is annealed to zero once, over the whole run, and the same factors are trained on when
        entries are removed, however few remain. Otherwise the learning rate warms up and is annealed in every stage, so
        that the end of each is a finished model; entries are trained by natural gradient or as new factors.
    """

    def __init__(self, deltas: Sequence[SparseDelta], stages: Sequence[Stage], *, once: bool) -> None:
        super().__init__(deltas)
        self._deltas, self._stages, self._once = deltas, stages, once
        self._descent = NaturalDescent(deltas)

    def start_step(self, step: int, total: int, probes: Probes) -> Renewal:
        stage = self._fewer(step, total)
        if stage is None:
            return Renewal.NOTHING
        generator = None if self._once else torch.Generator().manual_seed(step)
        curvatures = prune_deltas(self._deltas, stage.entries, probes, generator)
        if stage.natural and not self._once:
            self._descent.begin(curvatures, probes)
        return Renewal.CHANGE if self._once else Renewal.PARAMETERS

    def after_step(self, step: int, total: int) -> None:
        if self._descent.has_begun:
            self._descent.step(self._annealed(step, total, WARMUP))

    def lr_factor(self, step: int, total: int, warmup: int) -> float:
        if self._once:
            return annealed(step, total, warmup)
        return self._stages[self._index(step, total)].lr * self._annealed(step, total, warmup)

    def ready(self, step: int, total: int) -> bool:
        return step > self._firsts(total)[-1]

    def ends_stage(self, step: int, total: int) -> bool:
        return not self._once and self._fewer(step, total) is not None

    def state(self) -> dict[str, object]:
        return self._descent.state()

    def load_state(self, state: Mapping[str, object]) -> None:
        self._descent.load_state(state)

    def _annealed(self, step: int, total: int, warmup: int) -> float:
        """Factor of the learning rate of a stage."""
        index = self._index(step, total)
        firsts = [*self._firsts(total), total]
        return annealed_within(step, firsts[index], firsts[index + 1], warmup)

    def _fewer(self, step: int, total: int) -> Stage | None:
        """Stage with fewer entries that starts with a step, if any.

        A finished run that is trained for more epochs passes the starts of stages again: its entries are fewer already.
        """
        started = [stage for stage, first in zip(self._stages, self._firsts(total), strict=True) if first == step]
        return started[-1] if started and started[-1].entries < entries_of(self._deltas) else None

    def _firsts(self, total: int) -> list[int]:
        """First step of every stage; that of the last one is at most the last step of the run."""
        firsts, done = [], 0.0
        for stage in self._stages:
            firsts.append(min(round(done * total), total - 1))
            done += stage.share
        return firsts

    def _index(self, step: int, total: int) -> int:
        """Index of the stage of a step."""
        return max(index for index, first in enumerate(self._firsts(total)) if first <= min(step, total - 1))
