"""File sizes given as text."""

import re

from equisparse.errors import InputError

_SIZE = re.compile(r"^\s*([0-9.]+)\s*(B|KB|KiB|MB|MiB)?\s*$", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 1000, "kib": 1024, "mb": 1000**2, "mib": 1024**2}


def parse_size(text: str) -> int:
    """Number of bytes of a size such as ``40KB`` (40,000), ``40KiB`` (40,960) or ``0.1MB``.

    >>> parse_size("40KB")
    40000

    Raises
    ------
    InputError
        If the text is not a size.
    """
    match = _SIZE.match(text)
    if match is None or match[1].count(".") > 1 or match[1] == ".":
        raise InputError("Invalid size.", given=text, expected="a number with B, KB, KiB, MB or MiB, such as 40KB")
    return int(float(match[1]) * _UNITS[(match[2] or "B").lower()])
