"""How much of an adapter file of a stated size is left for values."""

import json
from collections.abc import Sequence

from equisparse.blocks import Layout
from equisparse.errors import InputError

_FILE_OVERHEAD = 1400
"""Bytes kept free for what a header says besides the layout: base, format, method, metrics, reference energies."""
_PART_OVERHEAD = len('"/":{"dtype":"I32","shape":[123456],"data_offsets":[1234567,1234567]},')
"""Bytes of the file's directory for one stored tensor, without its name."""


def value_bytes(file_bytes: int, layout: Layout, parts: Sequence[str]) -> int:
    """Bytes left for values in an adapter file of `file_bytes` with the named parts of every tensor of `layout`.

    Raises
    ------
    InputError
        If nothing is left.
    """
    header = json.dumps(json.dumps(layout.to_dict(), separators=(",", ":")))  # quoted: JSON within safetensors' JSON
    directory = sum(len(name) + len(part) + _PART_OVERHEAD for name in layout.tensors for part in parts)
    left = file_bytes - len(header) - directory - _FILE_OVERHEAD
    if left <= 0:
        raise InputError(
            "The adapter cannot be that small.",
            given=f"{file_bytes} bytes",
            expected=f"more than {file_bytes - left} bytes: the names of the tensors alone take this much",
            next_step="raise --budget (40KB means 40,000 bytes), or select fewer tensors with --targets",
        )
    return left
