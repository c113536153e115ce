"""What a user sees while a fine-tune runs: a live table in a terminal, plain lines in a pipe or a log file."""

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from equisparse.training.curve import LearningCurve

_COLUMNS = (
    ("E train", "train_energy_mae_mev_per_atom", "{:.2f}"),
    ("E valid", "valid_energy_mae_mev_per_atom", "{:.2f}"),
    ("F train", "train_force_mae_mev_per_ang", "{:.1f}"),
    ("F valid", "valid_force_mae_mev_per_ang", "{:.1f}"),
    ("F drift", "drift_force_mae_mev_per_ang", "{:.1f}"),
    ("S train", "train_stress_mae_gpa", "{:.3f}"),
    ("S valid", "valid_stress_mae_gpa", "{:.3f}"),
    ("m train", "train_moment_mae_mub", "{:.3f}"),
    ("m valid", "valid_moment_mae_mub", "{:.3f}"),
    ("h train", "train_magnetic_force_mae_ev_per_mub", "{:.4f}"),
    ("h valid", "valid_magnetic_force_mae_ev_per_mub", "{:.4f}"),
)
_SHOWN_EPOCHS = 12
_REFRESH_SECONDS = 0.25


class Progress(Callback):
    """Shows epochs, speed, time left, errors and changed fraction.

    Parameters
    ----------
    curve : LearningCurve
        Source of the numbers; has to come before this callback.
    console : Console
        Where to; a live table if it is a terminal.
    """

    def __init__(self, curve: LearningCurve, console: Console) -> None:
        self._curve, self._console = curve, console
        self._live: Live | None = None
        self._start, self._first_step = time.monotonic(), 0
        self._drawn = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start, self._first_step = time.monotonic(), trainer.global_step
        if self._console.is_terminal and trainer.is_global_zero:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if self._live and time.monotonic() - self._drawn > _REFRESH_SECONDS:
            self._draw(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero or not self._curve.rows:
            return
        if self._live:
            self._draw(trainer)
        else:
            self._console.print(self._line(trainer), markup=False, highlight=False, soft_wrap=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def _draw(self, trainer: Trainer) -> None:
        """Redraw the live table."""
        self._drawn = time.monotonic()
        table = Table(title=self._status(trainer), title_justify="left")
        columns = [column for column in _COLUMNS if self._curve.rows and column[1] in self._curve.rows[-1]]
        for title in ("epoch", *(title for title, *_ in columns), "changed"):
            table.add_column(title, justify="right")
        for row in self._curve.rows[-_SHOWN_EPOCHS:]:
            errors = (text.format(row[key]) if key in row else "" for _, key, text in columns)
            table.add_row(f"{row['epoch']:.0f}", *errors, f"{row['changed_fraction_model']:.2%}")
        table.caption = "E meV/atom, F meV/Angstrom, S GPa, m muB, h eV/muB (mean absolute errors)"
        if self._live:
            self._live.update(table, refresh=True)

    def _status(self, trainer: Trainer) -> str:
        """Steps, speed and time left."""
        done, total = trainer.global_step, int(trainer.estimated_stepping_batches)
        speed = (done - self._first_step) / max(time.monotonic() - self._start, 1e-9)
        left = f"{_clock((total - done) / speed)} left" if speed > 0 else ""
        return f"step {done}/{total}  {speed:.2f} steps/s  {left}"

    def _line(self, trainer: Trainer) -> str:
        """One epoch as plain text."""
        row = self._curve.rows[-1]
        errors = "  ".join(f"{title} {text.format(row[key])}" for title, key, text in _COLUMNS if key in row)
        changed = f"changed {row['changed_fraction_model']:.2%}"
        return f"epoch {row['epoch']:.0f}/{trainer.max_epochs}  {errors}  {changed}  {self._status(trainer)}"


def _clock(seconds: float) -> str:
    """Such as ``1:02:03`` or ``4:05``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
