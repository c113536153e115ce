"""Information on a whole frame that changes its energy and that models do not see: charge, multiplicity, fields."""

import re
import sys
from collections.abc import Iterable, Mapping

import numpy as np

_SYSTEM = re.compile(
    r"(?:net|total|tot|system|molecular|formal)?_?(?:charge|spin|multiplicity|spin_?multiplicity|mult|nelect|nupdown)"
    r"|(?:electric_|external_|e_?|magnetic_)field|total_spin|n_?unpaired(?:_electrons)?|total_?mag(?:netization|mom)?",
    re.IGNORECASE,
)
_ABSENT = "not given"


def system_values(infos: Iterable[Mapping[str, object]]) -> dict[str, list[str]]:
    """Values of every name of a charge, multiplicity or field that any frame has, one text per frame.

    Frames are read one at a time, and equal texts are one object: there may be more frames than fit into memory.
    """
    values: dict[str, list[str]] = {}
    for index, info in enumerate(infos):
        for name in map(str, info):
            if name not in values and _SYSTEM.fullmatch(name):
                values[name] = [_ABSENT] * index
        for name, texts in values.items():
            texts.append(sys.intern(_text(info.get(name))))
    return dict(sorted(values.items()))


def hidden_differences(first: Mapping[str, object], second: Mapping[str, object]) -> list[str]:
    """Names of charges, multiplicities and fields in which two frames differ."""
    return [name for name, values in system_values((first, second)).items() if values[0] != values[1]]


def _text(value: object) -> str:
    """Value as text; equal numbers give equal texts, whatever their types are."""
    if value is None:
        return _ABSENT
    try:
        return " ".join(f"{number:g}" for number in np.asarray(value, dtype=np.float64).ravel() + 0.0)
    except (TypeError, ValueError):
        return str(value)
