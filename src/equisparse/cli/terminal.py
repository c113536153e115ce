"""Where a command prints: results to standard output, errors to standard error."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console, RenderableType

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""A value of JSON."""

_PIPE_WIDTH = 110


class Terminal:
    """Prints what a command has to say.

    Parameters
    ----------
    quiet : bool
        Leave out progress and notes.
    verbose : bool
        Show the traceback of an error.
    json : bool
        Print one JSON value in place of tables and notes.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False, json: bool = False) -> None:
        self.verbose, self.json = verbose, json
        self._quiet = quiet or json
        self._console = _console()

    @property
    def progress(self) -> Console:
        """Console of progress and notes; prints nothing if they are not wanted."""
        return Console(quiet=True) if self._quiet else self._console

    def show(self, *results: RenderableType) -> None:
        """Print tables and lines of text, unless JSON was asked for."""
        if self.json:
            return
        for result in results:
            self._print(result)

    def note(self, text: str) -> None:
        """Print a line such as where a file was written, unless the command is quiet."""
        if not self._quiet:
            self._print(text)

    def show_json(self, value: object) -> None:
        """Print a value as JSON, if that was asked for."""
        if self.json:
            print(json.dumps(plain(value), indent=2))

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
    """Standard output; of a fixed width where it is no terminal and none is set."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=_PIPE_WIDTH)
