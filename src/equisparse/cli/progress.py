"""Progress of training on the terminal: a live table, or plain lines in a pipe or a log file."""

import time
from collections.abc import Mapping

from rich.console import Console
from rich.live import Live
from rich.table import Table

from equisparse.training.listener import FitListener, FitProgress

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


class TerminalProgress(FitListener):
    """Shows epochs, speed, time left, errors and changed fraction.

    Parameters
    ----------
    console : Console
        A live table if it is a terminal.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live: Live | None = None
        self._drawn = 0.0

    def fit_started(self) -> None:
        """Open the live table."""
        if self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False)
            self._live.start()

    def step_done(self, progress: FitProgress) -> None:
        """Redraw the live table from time to time."""
        if time.monotonic() - self._drawn > _REFRESH_SECONDS:
            self._draw(progress)

    def epoch_done(self, progress: FitProgress) -> None:
        """Redraw the live table, or print a line."""
        if self._live:
            self._draw(progress)
        else:
            self.console.print(_line(progress), markup=False, highlight=False, soft_wrap=True)

    def fit_ended(self) -> None:
        """Close the live table."""
        if self._live:
            self._live.stop()
            self._live = None

    def _draw(self, progress: FitProgress) -> None:
        if self._live:
            self._drawn = time.monotonic()
            self._live.update(_table(progress), refresh=True)


def _table(progress: FitProgress) -> Table:
    """The last epochs."""
    table = Table(title=_status(progress), title_justify="left")
    columns = [column for column in _COLUMNS if progress.curve and column[1] in progress.curve[-1]]
    for title in ("epoch", *(title for title, *_ in columns), "changed"):
        table.add_column(title, justify="right")
    for row in progress.curve[-_SHOWN_EPOCHS:]:
        errors = (text.format(row[key]) if key in row else "" for _, key, text in columns)
        table.add_row(f"{row['epoch']:.0f}", *errors, f"{row['changed_fraction_model']:.2%}")
    table.caption = "E meV/atom, F meV/Angstrom, S GPa, m muB, h eV/muB (mean absolute errors)"
    return table


def _line(progress: FitProgress) -> str:
    """The last epoch as plain text."""
    row: Mapping[str, float] = progress.curve[-1]
    errors = "  ".join(f"{title} {text.format(row[key])}" for title, key, text in _COLUMNS if key in row)
    changed = f"changed {row['changed_fraction_model']:.2%}"
    return f"epoch {row['epoch']:.0f}/{progress.epochs}  {errors}  {changed}  {_status(progress)}"


def _status(progress: FitProgress) -> str:
    """Steps, speed and time left."""
    done, total, speed = progress.step, progress.total_steps, progress.steps_per_second
    left = f"{_clock((total - done) / speed)} left" if speed > 0 else ""
    return f"step {done}/{total}  {speed:.2f} steps/s  {left}"


def _clock(seconds: float) -> str:
    """Such as ``1:02:03`` or ``4:05``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
