"""Callback that reports the progress of training to a listener."""

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from equisparse.training.curve import LearningCurve
from equisparse.training.listener import FitListener, FitProgress


class Progress(Callback):
    """Reports progress to a listener, from the first process only.

    Parameters
    ----------
    curve : LearningCurve
        Callback that records the learning curve; it has to come before this one.
    listener : FitListener
    round_name : str
        Word for what ends with a validation.
    """

    def __init__(self, curve: LearningCurve, listener: FitListener, round_name: str = "epoch") -> None:
        self._curve, self._listener, self._round_name = curve, listener, round_name
        self._start, self._first_step = time.monotonic(), 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start, self._first_step = time.monotonic(), trainer.global_step
        if trainer.is_global_zero:
            self._listener.fit_started()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.is_global_zero:
            self._listener.step_done(self._progress(trainer))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero and self._curve.epochs:
            self._listener.epoch_done(self._progress(trainer))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._listener.fit_ended()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._listener.fit_ended()

    def _progress(self, trainer: Trainer) -> FitProgress:
        """Progress of the run now."""
        seconds = max(time.monotonic() - self._start, 1e-9)
        return FitProgress(
            step=trainer.global_step,
            total_steps=int(trainer.estimated_stepping_batches),
            epochs=trainer.max_epochs or 0,
            steps_per_second=(trainer.global_step - self._first_step) / seconds,
            curve=self._curve.epochs,
            round_name=self._round_name,
        )
