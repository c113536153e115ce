"""Facts: lines of a short label and a text, with all texts in one column."""

import textwrap
from collections.abc import Iterable
from typing import TypeAlias

Fact: TypeAlias = tuple[str, str]
"""Label and text."""

_LABEL = 10
"""Width of the column of labels."""


def format_facts(facts: Iterable[Fact], width: int | None = None) -> str:
    """Write one fact per line.

    Parameters
    ----------
    facts : iterable of Fact
    width : int, optional
        Width of the terminal: longer texts continue below their beginning. Words, such as paths, are never broken.

    >>> print(format_facts([("changed", "3 weights"), ("results", "run")]))
    changed    3 weights
    results    run
    """
    lines = (f"{label:{_LABEL}} {text}" for label, text in facts)
    return "\n".join(line if width is None else _wrapped(line, width) for line in lines)


def _wrapped(line: str, width: int) -> str:
    """One line, broken between words."""
    indent = " " * (_LABEL + 1)
    return textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
