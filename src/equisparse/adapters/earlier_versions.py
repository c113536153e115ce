"""Adapter files of versions 1 to 3, read as ones of the present version.

Versions 1 and 2 named a method and its options in place of a format. Up to version 3 every part of a change was a
tensor of its own, and so were reference energies.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor

from equisparse.adapters.arithmetic import COMBINED
from equisparse.errors import AdapterError

FIRST_WITH_FORMAT = 3
"""First version whose header names a format."""
FIRST_WITH_COMPACT_PARTS = 4
"""First version whose header may be compressed and may hold reference energies and a table of the parts."""

_Options = Mapping[str, Any]


def _elora_options(options: _Options) -> dict[str, object]:
    """Options of the format `factors` from those of the method `elora`."""
    rank, alpha = options.get("rank", 64), options.get("alpha")
    return {"rank": rank, "factor": 1.0 if alpha is None else alpha / rank}


def _mmea_options(options: _Options) -> dict[str, object]:
    """Options of the format `gates` from those of the method `mmea`."""
    return {"modulation": options.get("gate", "exp")}


_FORMATS: dict[str, tuple[str, Callable[[_Options], dict[str, object]] | None]] = {
    "sparse": ("entries", None),
    "scale": ("scales", None),
    "lowrank": ("quantised", None),
    "full": ("dense", None),
    "readout": ("dense", None),
    "scratch": ("dense", None),
    "elora": ("factors", _elora_options),
    "mmea": ("gates", _mmea_options),
}
"""Method of versions 1 and 2 -> its format, and the function that converts the method's options to the format's."""


def upgraded(header: dict[str, object], tensors: dict[str, Tensor]) -> dict[str, object]:
    """Convert a header of an earlier version to one of the present version; its `version` stays the same.

    Parameters
    ----------
    header : dict
        JSON values: untrusted input.
    tensors : dict of str to Tensor
        All tensors of the file; those of reference energies are taken out.

    Raises
    ------
    AdapterError
        If a header of version 1 or 2 names a method that those versions do not have.
    """
    version = cast(int, header["version"])
    if version >= FIRST_WITH_COMPACT_PARTS:
        return header
    header = header | {"parts": None, "reference_energy": _reference_energies(tensors)}
    return header if version >= FIRST_WITH_FORMAT else _with_format(header)


def _with_format(header: dict[str, object]) -> dict[str, object]:
    """Convert a header of version 1 or 2 to one that names a format."""
    values = cast(Mapping[str, Any], header)
    method, options = values["method"], dict(values["options"])
    if method not in _FORMATS:
        raise AdapterError(
            "The adapter has an unknown method.",
            given=f"{method!r:.80}",
            expected=", ".join(_FORMATS),
        )
    name, translate = _FORMATS[method]
    format_options = translate(options) if translate else {}
    trained_by = None if COMBINED in values["metrics"] else {"method": method, "options": options}
    return header | {"format": name, "format_options": format_options, "trained_by": trained_by}


def _reference_energies(tensors: dict[str, Tensor]) -> dict[str, float]:
    """Shifts by atomic number from two tensors, which are taken out of `tensors`."""
    names = [name for name in tensors if name.rpartition("/")[0] == "reference_energy"]
    references = {name.rpartition("/")[2]: tensors.pop(name) for name in names}
    if not references:
        return {}
    numbers, shifts = references["atomic_number"].tolist(), references["shift"].to(torch.float64).tolist()
    if len(references) != 2 or len(set(numbers)) != len(numbers) or not all(type(z) is int for z in numbers):
        raise ValueError("reference energies of no elements, or several of one element")
    return {str(z): shift for z, shift in zip(numbers, shifts, strict=True)}
