"""Size of the values in an adapter file of a given total size."""

import json

from equisparse.blocks import Layout
from equisparse.errors import InputError
from equisparse.formats.base import AbstractFormat
from equisparse.formats.compression import compress

_FILE_OVERHEAD = 1400
"""Bytes reserved for the rest of the header: base, format, method, metrics, reference energies."""


def value_bytes(file_bytes: int, layout: Layout, stored_format: AbstractFormat) -> int:
    """Compute the bytes that remain for the parts of all tensors in an adapter file of `file_bytes`.

    Raises
    ------
    InputError
        If no bytes remain.
    """
    text = json.dumps(layout.to_dict(), separators=(",", ":")).encode()
    header = len(compress(text) or text)
    left = file_bytes - header - stored_format.file_overhead(layout) - _FILE_OVERHEAD
    if left <= 0:
        raise InputError(
            "The budget is too small for an adapter file.",
            given=f"{file_bytes} bytes",
            expected=f"more than {file_bytes - left} bytes: the names of the tensors alone take this much",
            next_step="raise --budget (40KB means 40,000 bytes), or select fewer tensors with --targets",
        )
    return left
