"""Name -> method. Adding a method is one file beside this one and one line here."""

from collections.abc import Mapping
from typing import Any

from equisparse.errors import InputError
from equisparse.methods.base import AbstractMethod
from equisparse.methods.full import Full
from equisparse.methods.scale import Scale
from equisparse.methods.sparse import Sparse

METHODS: dict[str, type[AbstractMethod]] = {method.name: method for method in (Sparse, Scale, Full)}


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
    return kind(**(options or {}))
