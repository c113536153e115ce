"""Tables with typed cells, which `report.terminal`, `report.html` and `report.paper` draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from equisparse.interpret.attribution import Interval


@dataclass(frozen=True, slots=True)
class Number:
    """A number with its format; a dash if it is not known.

    Parameters
    ----------
    value : float or None
    template : str
        Format, such as ``{:.2f}``; three significant digits by default.
    best : bool
        Whether the number is marked as the best of its row.
    """

    value: float | None
    template: str = ""
    best: bool = False

    def __str__(self) -> str:
        if self.value is None or not self.template:
            return number(self.value)
        return self.template.format(self.value)


@dataclass(frozen=True, slots=True)
class Percent:
    """A fraction, written in percent; a dash if it is not known.

    Parameters
    ----------
    value : float or None
    template : str
        Format of the fraction, such as ``{:.2%}``; three significant digits by default.
    """

    value: float | None
    template: str = ""

    def __str__(self) -> str:
        if self.value is None or not self.template:
            return percent(self.value)
        return self.template.format(self.value)


class Level(str):
    """A word that is shown in colour: pass, warn, fail, error, warning or note."""


Cell: TypeAlias = str | int | Number | Percent | Interval | None
"""Text, a count, a number with its format, a fraction, a value with its interval, or nothing known."""


@dataclass(frozen=True)
class Table:
    """A table.

    Parameters
    ----------
    header : sequence of str
        Titles of the columns, with units.
    rows : sequence of sequence of Cell
    title : str
        Title; empty if the table needs none.
    grouped : bool
        Whether rows with the same first cell form a group; the terminal draws a line between groups.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    grouped: bool = False

    def texts(self) -> list[list[str]]:
        """Cells as text, row by row."""
        return [[show(cell) for cell in row] for row in self.rows]

    def numeric(self) -> list[bool]:
        """Tell for each column whether it holds numbers, which are aligned to the right."""
        return [
            bool(self.rows) and not any(isinstance(row[place], str) for row in self.rows)
            for place in range(len(self.header))
        ]


def show(cell: Cell) -> str:
    """Text of a cell.

    >>> show(1234), show(Number(0.5, "{:.2f}")), show(Interval(1.0, 0.5, 2.0)), show(None)
    ('1,234', '0.50', '1 (0.5 to 2)', '-')
    """
    if cell is None:
        return "-"
    if isinstance(cell, Interval):
        return f"{number(cell.value)} ({number(cell.low)} to {number(cell.high)})"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def number(value: float | None, digits: int = 3) -> str:
    """Text of a number with the given significant digits; a dash for None.

    >>> number(1234.5678), number(0.012345), number(None)
    ('1,230', '0.0123', '-')
    """
    if value is None:
        return "-"
    text = f"{value:.{digits}g}"
    return f"{float(text):,.0f}" if abs(value) >= 10**digits or "e+" in text else text


def percent(value: float | None) -> str:
    """Text of a fraction in percent; a dash for None.

    >>> percent(0.0301)
    '3.01 %'
    """
    return "-" if value is None else f"{number(100 * value)} %"
