"""Events of a training, for whoever wants to show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FitProgress:
    """How far training is.

    Parameters
    ----------
    step, total_steps : int
        Optimiser steps done, and in the whole run.
    epochs : int
        Of the whole run.
    steps_per_second : float
        Of this process; 0 before the first step.
    curve : sequence of mapping
        Learning curve so far, one row per epoch: name of the number -> value.
    """

    step: int
    total_steps: int
    epochs: int
    steps_per_second: float
    curve: Sequence[Mapping[str, float]]


class FitListener:
    """Hears how training goes; this one shows nothing. Override what is to be shown."""

    def fit_started(self) -> None:
        """Training begins."""

    def step_done(self, progress: FitProgress) -> None:
        """An optimiser step is done."""

    def epoch_done(self, progress: FitProgress) -> None:
        """An epoch is done; its row is the last one of the curve."""

    def fit_ended(self) -> None:
        """Training ended, also by an error."""
