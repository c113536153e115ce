"""Layout of the help: one column of names, one column of sentences."""

import math

from cyclopts.help import ColumnSpec, DefaultFormatter, HelpEntry
from cyclopts.help.specs import DescriptionRenderer
from rich.console import Console, RenderableType

_NAMES = 0.38
"""Largest fraction of the width for the column of names."""


def formatter() -> DefaultFormatter:
    """Formatter of all panels."""
    return DefaultFormatter(column_specs=lambda console, _, entries: _columns(console, entries))


def _columns(console: Console, entries: list[HelpEntry]) -> tuple[ColumnSpec, ...]:
    """Columns of names and sentences, with the same widths in every panel of options."""
    width = min(30, math.ceil(console.width * _NAMES))
    least = width if any(entry.type for entry in entries) else None
    return (
        ColumnSpec(renderer=_label, style="cyclopts.name", min_width=least, max_width=width, overflow="fold"),
        ColumnSpec(renderer=DescriptionRenderer(), overflow="fold"),
    )


def _label(entry: HelpEntry) -> RenderableType:
    """Name of an option with its placeholder; a flag that is on by default is shown by the flag that turns it off."""
    metavar = entry.metavar or ""
    if entry.positional_label:
        return metavar or entry.positional_label
    names = entry.negative_names or (*entry.positive_shorts, *entry.positive_names)
    return ", ".join(names) + ("" if metavar.startswith(".") or not metavar else " ") + metavar
