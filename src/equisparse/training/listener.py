"""Events of a training, for whoever wants to show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FitProgress:
    """Progress of a training.

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
    """Receives the progress of training and shows nothing; override the methods whose calls you want to show."""

    def fit_started(self) -> None:
        """Called when training begins."""

    def step_done(self, progress: FitProgress) -> None:
        """Called after every optimiser step."""

    def epoch_done(self, progress: FitProgress) -> None:
        """Called after every epoch; its row is the last one of the curve."""

    def fit_ended(self) -> None:
        """Called when training ends, also by an error."""
