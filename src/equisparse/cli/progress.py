"""Progress of training on the terminal: a live table, or plain lines in a pipe or a log file."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from equisparse.quantities import FORCES, Quantity, all_quantities
from equisparse.training.epochs import Epoch
from equisparse.training.listener import FitListener, FitProgress

_SHOWN_EPOCHS = 12
_REFRESH_SECONDS = 0.25


class TerminalProgress(FitListener):
    """Shows epochs, speed, time left, errors and changed fraction.

    Parameters
    ----------
    console : Console
        Shows a live table if it is a terminal, else one line per epoch.
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
        """Redraw the live table at most four times per second."""
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
            self._live.update(_view(progress), refresh=True)


def _view(progress: FitProgress) -> RenderableType:
    """Status line and, after the first epoch, the table of the last epochs."""
    status = Text(_status(progress), no_wrap=True)
    if not progress.curve:
        return status
    columns = list(_columns(progress.curve[-1]))
    return Group(status, _table(progress.curve[-_SHOWN_EPOCHS:], columns, progress.round_name), _caption(columns))


def _table(epochs: Sequence[Epoch], columns: list["_Column"], round_name: str) -> Table:
    """Errors and changed fraction of some epochs."""
    table = Table()
    for title in (round_name, *(column.title for column in columns), "changed"):
        table.add_column(title, justify="right")
    for epoch in epochs:
        errors = (column.text(epoch) for column in columns)
        table.add_row(str(epoch.epoch), *errors, f"{epoch.changed_fraction_model:.2%}")
    return table


def _caption(columns: list["_Column"]) -> Text:
    """Units of the errors."""
    units = dict.fromkeys(f"{column.quantity.symbol} in {column.quantity.mae.unit}" for column in columns)
    return Text(f"mean absolute errors: {', '.join(units)}", style="italic")


def _line(progress: FitProgress) -> str:
    """The last epoch as plain text."""
    epoch = progress.curve[-1]
    errors = "  ".join(f"{column.title} {column.text(epoch)}" for column in _columns(epoch))
    changed = f"changed {epoch.changed_fraction_model:.2%}"
    return f"{progress.round_name} {epoch.epoch}/{progress.epochs}  {errors}  {changed}  {_status(progress)}"


def _status(progress: FitProgress) -> str:
    """Steps, speed and time left."""
    done, total, speed = progress.step, progress.total_steps, progress.steps_per_second
    left = f"  {_clock((total - done) / speed)} left" if speed > 0 and done < total else ""
    return f"step {done}/{total}  {speed:.2f} steps/s{left}"


@dataclass(frozen=True)
class _Column:
    """Mean absolute errors of a quantity on one split."""

    quantity: Quantity
    split: str

    @property
    def title(self) -> str:
        """Symbol and split, such as ``E valid``."""
        return f"{self.quantity.symbol} {self.split}"

    def value(self, epoch: Epoch) -> float | None:
        """Error after one epoch; None if it is not known."""
        return epoch.error(self.split, self.quantity.mae.name)

    def text(self, epoch: Epoch) -> str:
        """Error after one epoch; empty if it is not known."""
        value = self.value(epoch)
        return "" if value is None else self.quantity.mae.format.format(value)


def _columns(epoch: Epoch) -> Iterator[_Column]:
    """Columns of the errors that an epoch has; of the drift, only that of the forces is shown."""
    for quantity in all_quantities():
        for split in ("train", "valid", *(("drift",) if quantity == FORCES else ())):
            column = _Column(quantity, split)
            if column.value(epoch) is not None:
                yield column


def _clock(seconds: float) -> str:
    """Duration, such as ``1:02:03`` or ``4:05``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
