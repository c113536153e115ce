"""Name -> method. Adding a method is one file beside this one and one line here."""

from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from equisparse.blocks import Layout
from equisparse.errors import InputError
from equisparse.methods.base import AbstractMethod
from equisparse.methods.elora import ELoRA
from equisparse.methods.full import Full
from equisparse.methods.lowrank import LowRank
from equisparse.methods.mmea import MMEA
from equisparse.methods.readout import Readout
from equisparse.methods.scale import Scale, half_precision_bytes
from equisparse.methods.scratch import Scratch
from equisparse.methods.sparse import Sparse

METHODS: dict[str, type[AbstractMethod]] = {
    method.name: method for method in (Sparse, Scale, LowRank, Full, ELoRA, MMEA, Readout, Scratch)
}


def method_for_size(value_bytes: int, layout: Layout) -> str:
    """Name of the method that fits best into a size, as measured (docs/benchmarks.md).

    Components of low rank beat as many bytes of scales and of single entries. They need room for some in every path:
    below that of the scales of all channels, single entries are taken.

    Parameters
    ----------
    value_bytes : int
        Bytes for stored values.
    layout : Layout
        Selected tensors.
    """
    return LowRank.name if value_bytes >= half_precision_bytes(layout) else Sparse.name


def make_method(name: str, options: Mapping[str, Any] | None = None) -> AbstractMethod:
    """Method by name, with options.

    Raises
    ------
    InputError
        If there is no such method or option.
    """
    if name not in METHODS:
        raise InputError("There is no such method.", given=name, expected=", ".join(METHODS))
    kind = METHODS[name]
    known = set(kind.__dataclass_fields__)
    if unknown := set(options or {}) - known:
        raise InputError(
            f"The method {name} has no such option.",
            given=", ".join(sorted(unknown)),
            expected=", ".join(sorted(known)) or "no options",
        )
    hints = get_type_hints(kind)
    for option, value in (options or {}).items():
        if not _is_of(value, hints[option]):
            raise InputError(
                f"The option {option} of the method {name} has no such value.",
                given=repr(value),
                expected=str(getattr(hints[option], "__name__", hints[option])),
            )
    return kind(**(options or {}))


def _is_of(value: Any, hint: Any) -> bool:
    """Whether a value has the type of a hint, such as ``float | None``; a whole number may stand for a float."""
    kinds = get_args(hint) or (hint,)
    return isinstance(value, (*kinds, int) if float in kinds else kinds)
