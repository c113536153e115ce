"""Collect the learning curve: one row per epoch, kept with the checkpoints and written as CSV."""

import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from equisparse.training.epochs import Epoch, write_curve
from equisparse.training.task import LOSS, FinetuneTask


class LearningCurve(Callback):
    """Callback that adds a row after every validation; a resumed run continues the curve of its checkpoint.

    Parameters
    ----------
    path : Path
        CSV file, replaced after every epoch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.epochs: list[Epoch] = []
        self._seconds_before = 0.0
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Training time, including that of earlier, interrupted runs."""
        return self._seconds_before + time.monotonic() - self._start

    def state_dict(self) -> dict[str, Any]:
        return {"rows": [epoch.to_dict() for epoch in self.epochs], "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epochs = [Epoch.from_dict(row) for row in state_dict["rows"]]
        self._seconds_before = state_dict["seconds"]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or not isinstance(pl_module, FinetuneTask):
            return
        self.epochs.append(self._epoch(trainer, pl_module))
        if trainer.is_global_zero:
            write_curve(self.path, self.epochs)

    def _epoch(self, trainer: Trainer, task: FinetuneTask) -> Epoch:
        """State of the training after the present epoch."""
        errors_of = {"train": task.train_errors, "valid": task.valid_errors, "drift": task.drift_errors}
        return Epoch(
            epoch=trainer.current_epoch + 1,
            step=trainer.global_step,
            changed_fraction_model=task.changed_fraction(),
            seconds=round(self.seconds, 2),
            valid_loss=float(trainer.callback_metrics[LOSS]),
            errors={
                split: {name: value for name, value in errors.metrics().items() if value is not None}
                for split, errors in errors_of.items()
            },
        )
