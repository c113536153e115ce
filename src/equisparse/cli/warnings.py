"""Warnings of the package in the words of the command line."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from equisparse.errors import EquisparseWarning


@contextmanager
def shown_warnings() -> Iterator[None]:
    """Print warnings of this package on standard error within the block, each text once."""
    seen: set[str] = set()
    others = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, EquisparseWarning):
            others(message, category, filename, lineno, file, line)
        elif str(message) not in seen:
            seen.add(str(message))
            print(f"warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", EquisparseWarning)
        warnings.showwarning = show
        yield
