"""Output of a command: results to standard output, errors to standard error."""

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console, RenderableType

from equisparse.report.terminal.facts import Fact, format_facts

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""A value of JSON."""

_PIPE_WIDTH = 110


class Terminal:
    """Prints the results of a command.

    Parameters
    ----------
    quiet : bool
        Leave out progress and notes; results and warnings stay.
    json : bool
        Print one JSON value in place of tables and notes; warnings go to standard error.
    """

    def __init__(self, *, quiet: bool = False, json: bool = False) -> None:
        self.json = json
        self.quiet = quiet or json
        self._console = _console()

    @property
    def progress(self) -> Console:
        """Console of progress; prints nothing if the command is quiet."""
        return Console(quiet=True) if self.quiet else self._console

    def show(self, *results: RenderableType) -> None:
        """Print tables and lines of text, unless JSON was asked for."""
        if self.json:
            return
        for result in results:
            self._print(result)

    def note(self, text: str) -> None:
        """Print a line such as the path of a file that was written, unless the command is quiet."""
        if not self.quiet:
            self._print(text)

    def warn(self, text: str) -> None:
        """Print a warning, also if the command is quiet; on standard error if JSON was asked for."""
        if self.json:
            print(text, file=sys.stderr)
        else:
            self._print(text)

    def show_json(self, value: object) -> None:
        """Print a value as JSON, if that was asked for."""
        if self.json:
            print(json.dumps(plain(value), indent=2))

    def facts(self, facts: Iterable[Fact]) -> str:
        """Lines of labels and texts, broken to the width of a terminal; whole lines in a pipe or a file."""
        return format_facts(facts, self._console.width if self._console.is_terminal else None)

    def _print(self, result: RenderableType) -> None:
        if isinstance(result, str):
            self._console.print(result, markup=False, highlight=False, soft_wrap=True)
        else:
            self._console.print(result, highlight=False)


def plain(value: object) -> Json:
    """Turn a value into one of JSON; numbers that are not finite become null.

    >>> plain({"force": float("nan"), "path": Path("run")})
    {'force': None, 'path': 'run'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"no JSON value: {value!r}")


def _console() -> Console:
    """Console of standard output, with a fixed width in a pipe or a file unless COLUMNS states one."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=_PIPE_WIDTH)
