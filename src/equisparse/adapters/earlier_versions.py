"""Headers of adapter files of versions 1 and 2, which named a method and its options in place of a format."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from equisparse.adapters.arithmetic import COMBINED
from equisparse.errors import AdapterError

FIRST_WITH_FORMAT = 3
"""First version whose header names a format."""

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


def upgraded(header: dict[str, object]) -> dict[str, object]:
    """Convert a header of an earlier version to one that names a format; its `version` stays the same.

    Parameters
    ----------
    header : dict
        JSON values: untrusted input.

    Raises
    ------
    AdapterError
        If a header of version 1 or 2 names a method that those versions do not have.
    """
    values = cast(Mapping[str, Any], header)
    if values["version"] >= FIRST_WITH_FORMAT:
        return header
    method, options = values["method"], dict(values["options"])
    if method not in _FORMATS:
        raise AdapterError(
            "The adapter uses a method that is not known here.",
            given=f"{method!r:.80}",
            expected=", ".join(_FORMATS),
        )
    name, translate = _FORMATS[method]
    format_options = translate(options) if translate else {}
    trained_by = None if COMBINED in values["metrics"] else {"method": method, "options": options}
    return header | {"format": name, "format_options": format_options, "trained_by": trained_by}
