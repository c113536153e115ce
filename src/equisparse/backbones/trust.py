"""Model files of all upstreams are pickles, which run code when they are opened: pin them, and say so."""

import hashlib
import logging
from functools import cache
from pathlib import Path

from equisparse.errors import BackboneError

_log = logging.getLogger(__name__)

_SHORTEST = 8
"""Fewest digits that pin a file."""


def check_sha256(path: Path, expected: str) -> None:
    """Raise BackboneError unless the file has this SHA-256, given as its first eight or more hexadecimal digits."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if len(expected) < _SHORTEST or not found.startswith(expected.lower()):
        raise BackboneError(
            "The model file is not the one that was pinned; it was not opened.",
            given=f"{path} with sha256 {found}",
            expected=f"sha256 {expected}",
            cause="another version of the file, a damaged download, or a typing error in --sha256",
            next_step="get the file again from where it was published, and compare",
        )


@cache
def warn_of_pickle(path: Path) -> None:
    """Tell once per file and process that opening it runs its code."""
    _log.warning(
        "%s is a pickle: opening it runs the code in it. Open only files that you trust; --sha256 pins one.", path
    )
