"""Stages of a run with fewer and fewer changed entries, and the controller that goes through them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from equisparse.blocks import Layout
from equisparse.methods.annealing import annealed
from equisparse.methods.base import Probes, Renewal
from equisparse.methods.pruning import entries_of, prune_deltas
from equisparse.methods.sparse_delta import SparseDelta
from equisparse.methods.watch import GradientWatch

WAYPOINTS = (0.1, 0.03, 0.01, 0.003)
"""Fractions of all parameters at which a run with fewer entries stays for a while."""
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
        Learning rate at the start of the stage, as a multiple of that of the run.
    """

    entries: int
    share: float
    lr: float = 1.0


def stages_to(
    entries: int, layout: Layout, *, dense_share: float, last_lr: float = 1.0, once: bool = False
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
    once : bool
        Whether the run is annealed once, see `StagedPruning`.
    """
    waypoints, last = (MORE_WAYPOINTS, LAST_STAGE_ONCE) if once else (WAYPOINTS, LAST_STAGE)
    counts = [round(fraction * layout.total_parameters) for fraction in waypoints]
    between = [count for count in counts if 1.5 * entries < count < layout.numel]
    lengths = [*range(1, len(between) + 1), max(last, len(between) + 1)]
    shares = [(1 - dense_share) * length / sum(lengths) for length in lengths]
    stages = [Stage(layout.numel, dense_share)]
    for count, share in zip(between, shares[:-1], strict=True):
        stages.append(Stage(count, share, WAYPOINT_LR * last_lr))
    return [*stages, Stage(entries, shares[-1], last_lr)]


class StagedPruning(GradientWatch):
    """Training in stages; at the start of each, entries of all deltas together are removed by `prune_deltas`.

    Parameters
    ----------
    deltas : sequence of SparseDelta
    stages : sequence of Stage
        In order; the shares add up to 1, and the first stage has all entries.
    once : bool
        Whether the learning rate is annealed to zero once, over the whole run, and the same factors are trained on when
        entries are removed. Otherwise the learning rate warms up and is annealed in every stage, each with new factors,
        so that the end of each is a finished model.
    """

    def __init__(self, deltas: Sequence[SparseDelta], stages: Sequence[Stage], *, once: bool) -> None:
        super().__init__(deltas)
        self._deltas, self._stages, self._once = deltas, stages, once

    def start_step(self, step: int, total: int, probes: Probes) -> Renewal:
        stage = self._fewer(step, total)
        if stage is None:
            return Renewal.NOTHING
        generator = None if self._once else torch.Generator().manual_seed(step)
        prune_deltas(self._deltas, stage.entries, probes, generator)
        return Renewal.CHANGE if self._once else Renewal.PARAMETERS

    def lr_factor(self, step: int, total: int, warmup: int) -> float:
        if self._once:
            return annealed(step, total, warmup)
        index = self._index(step, total)
        firsts = [*self._firsts(total), total]
        length = firsts[index + 1] - firsts[index]
        return self._stages[index].lr * annealed(step - firsts[index], length, min(warmup, length // 4))

    def ready(self, step: int, total: int) -> bool:
        return step > self._firsts(total)[-1]

    def ends_stage(self, step: int, total: int) -> bool:
        return not self._once and self._fewer(step, total) is not None

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
