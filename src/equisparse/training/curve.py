"""The learning curve: one row per epoch, kept with the checkpoints and written as CSV."""

import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from equisparse.files import write_rows
from equisparse.training.task import LOSS, FinetuneTask


class LearningCurve(Callback):
    """Collects a row after every validation; a resumed run goes on where its checkpoint ended.

    Parameters
    ----------
    path : Path
        CSV file, replaced at once after every epoch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._seconds_before = 0.0
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Training time, that of interrupted runs before included."""
        return self._seconds_before + time.monotonic() - self._start

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self._seconds_before = list(state_dict["rows"]), state_dict["seconds"]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or not isinstance(pl_module, FinetuneTask):
            return
        row = {"epoch": float(trainer.current_epoch + 1), "step": float(trainer.global_step)}
        row[LOSS] = float(trainer.callback_metrics[LOSS])
        errors_of = {"train": pl_module.train_errors, "valid": pl_module.valid_errors, "drift": pl_module.drift_errors}
        for split, errors in errors_of.items():
            row |= {f"{split}_{name}": value for name, value in errors.metrics().items() if value is not None}
        row |= {"changed_fraction_model": pl_module.changed_fraction(), "seconds": round(self.seconds, 2)}
        self.rows.append(row)
        if trainer.is_global_zero:
            write_rows(self.path, self.rows)
