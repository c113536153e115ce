"""Tables for the terminal and for log files."""

import textwrap

from rich import table as rich
from rich.text import Text

from equisparse.report.table import Cell, Level, Table, show

_STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red"}


def rich_table(table: Table) -> rich.Table:
    """Draw a table; names in brackets are not read as markup."""
    drawn = rich.Table(title=table.title or None, title_justify="left")
    for place, (title, numeric) in enumerate(zip(table.header, table.numeric(), strict=True)):
        if numeric:
            cells = [len(show(row[place])) for row in table.rows]
            drawn.add_column(_narrow(title, max(cells)), justify="right", overflow="fold")
        else:
            drawn.add_column(title, overflow="fold")
    for place, row in enumerate(table.rows):
        if table.grouped and place and row[0] != table.rows[place - 1][0]:
            drawn.add_section()
        drawn.add_row(*map(_text, row))
    return drawn


def _narrow(title: str, width: int) -> str:
    """Header of a column of numbers, broken between words to about the width of the numbers."""
    longest = max(map(len, title.split()), default=0)
    return textwrap.fill(title, max(width, longest), break_on_hyphens=False)


def _text(cell: Cell) -> Text:
    """One cell, coloured if it is a level."""
    return Text(show(cell), style=_STYLES.get(cell, "") if isinstance(cell, Level) else "")
