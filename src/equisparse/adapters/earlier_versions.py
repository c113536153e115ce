"""Headers of adapter files of versions 1 and 2, which named a method and its options in place of a format."""

from collections.abc import Callable, Mapping
from typing import Any

from equisparse.adapters.arithmetic import COMBINED
from equisparse.errors import AdapterError

FIRST_WITH_FORMAT = 3
"""First version whose header names a format."""

_Options = Mapping[str, Any]


def _of_elora(options: _Options) -> dict[str, Any]:
    """Rank, and alpha over rank; their defaults where they are left out."""
    rank, alpha = options.get("rank", 64), options.get("alpha")
    return {"rank": rank, "factor": 1.0 if alpha is None else alpha / rank}


def _of_mmea(options: _Options) -> dict[str, Any]:
    """Rule by which a modulation becomes a factor."""
    return {"modulation": options.get("gate", "exp")}


_FORMATS: dict[str, tuple[str, Callable[[_Options], dict[str, Any]] | None]] = {
    "sparse": ("entries", None),
    "scale": ("scales", None),
    "lowrank": ("quantised", None),
    "full": ("dense", None),
    "readout": ("dense", None),
    "scratch": ("dense", None),
    "elora": ("factors", _of_elora),
    "mmea": ("gates", _of_mmea),
}
"""Method of versions 1 and 2 -> its format, and how the format's options follow from those of the method."""


def upgraded(header: dict[str, Any]) -> dict[str, Any]:
    """The header as one that names a format; `version` stays.

    Raises
    ------
    AdapterError
        If a header of version 1 or 2 names a method that those versions do not have.
    """
    if header["version"] >= FIRST_WITH_FORMAT:
        return header
    method, options = header["method"], dict(header["options"])
    if method not in _FORMATS:
        raise AdapterError(
            "The adapter uses a method that is not known here.",
            given=f"{method!r:.80}",
            expected=", ".join(_FORMATS),
        )
    name, translate = _FORMATS[method]
    format_options = translate(options) if translate else {}
    trained = None if COMBINED in header["metrics"] else {"method": method, "options": options}
    return header | {"format": name, "format_options": format_options, "trained_by": trained}
