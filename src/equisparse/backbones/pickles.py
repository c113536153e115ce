"""Model files of all upstreams are pickles, which run code when they are opened: check and announce them first."""

import hashlib
import logging
from functools import cache
from pathlib import Path

from equisparse.errors import BackboneError

_log = logging.getLogger(__name__)

_SHORTEST = 8
"""Fewest digits that identify a file."""


def check_sha256(path: Path, expected: str) -> None:
    """Check a file against the first eight or more hexadecimal digits of its SHA-256.

    Raises
    ------
    BackboneError
        If it is another file, or fewer digits are given.
    """
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if len(expected) < _SHORTEST or not actual.startswith(expected.lower()):
        raise BackboneError(
            "The model file does not have the expected SHA-256; it was not opened.",
            given=f"{path} with sha256 {actual}",
            expected=f"sha256 {expected} (at least {_SHORTEST} digits)",
            cause="another version of the file, a damaged download, or a typing error in --sha256",
            next_step="download the file again from where it was published, and compare",
        )


@cache
def warn_of_pickle(path: Path) -> None:
    """Warn, once per file and process, that opening a file runs code in it."""
    _log.warning(
        "%s is a pickle: opening it runs the code in it. Open only files that you trust; --sha256 checks the file.",
        path,
    )
