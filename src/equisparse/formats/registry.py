"""Registry of formats. A new format is one file beside this one and one line here."""

from collections.abc import Mapping
from typing import get_args, get_type_hints

from equisparse.formats.base import AbstractFormat
from equisparse.formats.dense import Dense
from equisparse.formats.entries import Entries
from equisparse.formats.factors import Factors
from equisparse.formats.gates import Gates
from equisparse.formats.quantised import Quantised
from equisparse.formats.scales import ChannelScales

FORMATS: dict[str, type[AbstractFormat]] = {}
"""Name -> format, for all formats that adapter files can use."""


def register_format(kind: type[AbstractFormat]) -> type[AbstractFormat]:
    """Register a format for adapter files; raise ValueError if another format has its name."""
    if FORMATS.get(kind.name, kind) is not kind:
        raise ValueError(f"a format {kind.name!r} exists already")
    FORMATS[kind.name] = kind
    return kind


for _kind in (Entries, Dense, Factors, Quantised, ChannelScales, Gates):
    register_format(_kind)


def make_format(name: str, options: Mapping[str, object]) -> AbstractFormat:
    """Create a format by name, with options from the header of a file; untrusted input: all options are validated.

    Raises
    ------
    ValueError
        If there is no such format or option, or the value of an option is invalid.
    """
    if name not in FORMATS:
        raise ValueError(f"there is no format {name!r:.80}, only {', '.join(FORMATS)}")
    kind = FORMATS[name]
    hints = get_type_hints(kind)
    for option, value in options.items():
        if option not in kind.__dataclass_fields__ or not is_of_type(value, hints[option]):
            raise ValueError(f"the format {name} has no option {option!r:.40} of the value {value!r:.40}")
    return kind(**options)


def is_of_type(value: object, hint: object) -> bool:
    """Return whether a value has the type of a hint, such as ``float | None``; integers are accepted as floats."""
    kinds = get_args(hint) or (hint,)
    if isinstance(value, bool):
        return bool in kinds
    return isinstance(value, (*kinds, int) if float in kinds else kinds)
