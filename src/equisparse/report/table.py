"""One table for all media: typed cells, drawn by `report.terminal`, `report.html` and `report.paper`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from equisparse.interpret.attribution import Interval


@dataclass(frozen=True, slots=True)
class Number:
    """A number and how it is written; a dash if it is not known.

    Parameters
    ----------
    value : float or None
    template : str
        Such as ``{:.2f}``; three significant digits by default.
    best : bool
        Whether it is marked as the best of its row.
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
        Applied to the fraction, such as ``{:.2%}``; three significant digits by default.
    """

    value: float | None
    template: str = ""

    def __str__(self) -> str:
        if self.value is None or not self.template:
            return percent(self.value)
        return self.template.format(self.value)


class Level(str):
    """A word that media colour: pass, warn, fail, error, warning or note."""


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
        Empty if the place of the table says what it is.
    grouped : bool
        Whether rows that begin alike belong together; the terminal draws a line between such groups.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    grouped: bool = False

    def texts(self) -> list[list[str]]:
        """Cells as text, row by row."""
        return [[show(cell) for cell in row] for row in self.rows]

    def numeric(self) -> list[bool]:
        """For each column, True if it holds numbers, which are set to the right."""
        return [
            bool(self.rows) and not any(isinstance(row[place], str) for row in self.rows)
            for place in range(len(self.header))
        ]


def show(cell: Cell) -> str:
    """A cell as text.

    >>> show(1234), show(Number(0.5, "{:.2f}")), show(Interval(1.0, 0.5, 2.0)), show(None)
    ('1,234', '0.50', '1 (0.5 to 2)', '-')
    """
    if cell is None:
        return "-"
    if isinstance(cell, Interval):
        return f"{number(cell.value)} ({number(cell.low)} to {number(cell.high)})"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits, or a dash.

    >>> number(1234.5678), number(0.012345), number(None)
    ('1,230', '0.0123', '-')
    """
    if value is None:
        return "-"
    text = f"{value:.{digits}g}"
    return f"{float(text):,.0f}" if abs(value) >= 10**digits or "e+" in text else text


def percent(value: float | None) -> str:
    """A fraction in percent, or a dash.

    >>> percent(0.0301)
    '3.01 %'
    """
    return "-" if value is None else f"{number(100 * value)} %"
