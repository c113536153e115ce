"""Progress of training on the terminal: a live table, or plain lines in a pipe or a log file."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table

from equisparse.quantities import FORCES, Quantity, all_quantities
from equisparse.training.listener import FitListener, FitProgress

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
    columns = list(_columns(progress.curve[-1])) if progress.curve else []
    for title in ("epoch", *(column.title for column in columns), "changed"):
        table.add_column(title, justify="right")
    for row in progress.curve[-_SHOWN_EPOCHS:]:
        errors = (column.text(row) for column in columns)
        table.add_row(f"{row['epoch']:.0f}", *errors, f"{row['changed_fraction_model']:.2%}")
    units = dict.fromkeys(f"{column.quantity.symbol} {column.quantity.mae.unit}" for column in columns)
    table.caption = f"{', '.join(units)} (mean absolute errors)"
    return table


def _line(progress: FitProgress) -> str:
    """The last epoch as plain text."""
    row: Mapping[str, float] = progress.curve[-1]
    errors = "  ".join(f"{column.title} {column.text(row)}" for column in _columns(row))
    changed = f"changed {row['changed_fraction_model']:.2%}"
    return f"epoch {row['epoch']:.0f}/{progress.epochs}  {errors}  {changed}  {_status(progress)}"


def _status(progress: FitProgress) -> str:
    """Steps, speed and time left."""
    done, total, speed = progress.step, progress.total_steps, progress.steps_per_second
    left = f"{_clock((total - done) / speed)} left" if speed > 0 else ""
    return f"step {done}/{total}  {speed:.2f} steps/s  {left}"


@dataclass(frozen=True)
class _Column:
    """Mean absolute errors of a quantity on one split."""

    quantity: Quantity
    split: str

    @property
    def title(self) -> str:
        """Such as ``E valid``."""
        return f"{self.quantity.symbol} {self.split}"

    @property
    def key(self) -> str:
        """Name in the rows of the learning curve."""
        return f"{self.split}_{self.quantity.mae.name}"

    def text(self, row: Mapping[str, float]) -> str:
        """Error of one epoch; empty where there is none."""
        return self.quantity.mae.format.format(row[self.key]) if self.key in row else ""


def _columns(row: Mapping[str, float]) -> Iterator[_Column]:
    """Columns that a row of the learning curve has; the drift of forces stands for that of the others."""
    for quantity in all_quantities():
        for split in ("train", "valid", *(("drift",) if quantity == FORCES else ())):
            column = _Column(quantity, split)
            if column.key in row:
                yield column


def _clock(seconds: float) -> str:
    """Such as ``1:02:03`` or ``4:05``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
