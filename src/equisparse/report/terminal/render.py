"""Tables as the terminal and log files show them."""

from rich import table as rich
from rich.text import Text

from equisparse.report.table import Cell, Level, Table, show

_STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red"}


def rich_table(table: Table) -> rich.Table:
    """Draw a table; names in brackets are no markup."""
    drawn = rich.Table(title=table.title or None, title_justify="left")
    for title, numeric in zip(table.header, table.numeric(), strict=True):
        drawn.add_column(title, justify="right" if numeric else "left", overflow="fold")
    for place, row in enumerate(table.rows):
        if table.grouped and place and row[0] != table.rows[place - 1][0]:
            drawn.add_section()
        drawn.add_row(*map(_text, row))
    return drawn


def _text(cell: Cell) -> Text:
    """One cell, coloured if it is a level."""
    return Text(show(cell), style=_STYLES.get(cell, "") if isinstance(cell, Level) else "")
