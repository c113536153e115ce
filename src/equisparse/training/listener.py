"""Interface to follow the progress of training."""

from collections.abc import Sequence
from dataclasses import dataclass

from equisparse.training.epochs import Epoch


@dataclass(frozen=True)
class FitProgress:
    """Progress of training.

    Parameters
    ----------
    step, total_steps : int
        Number of optimiser steps done, and of the whole run.
    epochs : int
        Number of epochs of the whole run.
    steps_per_second : float
        Speed since this process started; 0 before the first step.
    curve : sequence of Epoch
        Learning curve so far.
    round_name : str
        ``epoch``, or ``round`` if validations do not come at the end of every epoch; `epochs` then counts rounds.
    """

    step: int
    total_steps: int
    epochs: int
    steps_per_second: float
    curve: Sequence[Epoch]
    round_name: str = "epoch"


class FitListener:
    """Listener that does nothing; override the methods of the events that you want to show."""

    def fit_started(self) -> None:
        """Called when training begins."""

    def step_done(self, progress: FitProgress) -> None:
        """Called after every optimiser step."""

    def epoch_done(self, progress: FitProgress) -> None:
        """Called after every epoch; it is the last one of the curve."""

    def fit_ended(self) -> None:
        """Called when training ends, also after an error."""
