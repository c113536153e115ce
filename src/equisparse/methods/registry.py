"""Registry of methods: those of this package, those that a user registers, and those of installed packages.

A new method in this package is one file beside this one and one line here. Another package provides a method by an
entry point of the group ``equisparse.methods`` with the name of the method; it is imported when it is first used::

    [project.entry-points."equisparse.methods"]
    mine = "my_package.method:Mine"
"""

import math
from collections.abc import Mapping
from dataclasses import fields
from importlib import metadata
from inspect import isabstract
from typing import TypeVar, get_type_hints

from equisparse.errors import InputError
from equisparse.formats.registry import is_of_type
from equisparse.methods.base import AbstractMethod
from equisparse.methods.elora import ELoRA
from equisparse.methods.full import Full
from equisparse.methods.lowrank import LowRank
from equisparse.methods.mmea import MMEA
from equisparse.methods.readout import Readout
from equisparse.methods.scale import Scale
from equisparse.methods.scratch import Scratch
from equisparse.methods.soft_threshold import SoftThreshold
from equisparse.methods.sparse import Sparse
from equisparse.options import nearest, words_for

ENTRY_POINTS = "equisparse.methods"
"""Group of entry points by which other packages provide methods."""

METHODS: dict[str, type[AbstractMethod]] = {
    method.name: method for method in (SoftThreshold, Sparse, Scale, LowRank, Full, ELoRA, MMEA, Readout, Scratch)
}
"""Name -> method, of this package and of those that were registered."""

_Method = TypeVar("_Method", bound=type[AbstractMethod])


def register_method(kind: _Method) -> _Method:
    """Register a method, so that `equisparse.finetune` and configurations find it by name; usable as a decorator.

    The laws in `equisparse.testing.methods` check what every method has to fulfil.

    Parameters
    ----------
    kind : class
        Frozen dataclass derived from `AbstractWeightMethod` or `AbstractGateMethod`, with a ``name``.

    Raises
    ------
    InputError
        If `kind` is not such a class, or another method has its name.
    """
    if not (isinstance(kind, type) and issubclass(kind, AbstractMethod)) or isabstract(kind):
        raise InputError(
            "Only a class of a method can be registered.",
            given=repr(kind),
            expected="a class derived from AbstractWeightMethod or AbstractGateMethod, with all its abstract methods",
        )
    name = getattr(kind, "name", None)
    if not isinstance(name, str) or not name.isidentifier():
        raise InputError("A method needs a name.", given=repr(name), expected="a class variable such as name = 'mine'")
    if METHODS.get(name, kind) is not kind:
        raise InputError(
            "A method of this name exists already.",
            given=f"{name} of {kind.__module__}",
            expected=f"a name other than {', '.join(METHODS)}",
        )
    METHODS[name] = kind
    return kind


def method_names() -> tuple[str, ...]:
    """Names of all methods: of this package, registered ones, and those of installed packages (not imported)."""
    provided = metadata.entry_points(group=ENTRY_POINTS).names
    return (*METHODS, *sorted(provided - METHODS.keys()))


def method_class(name: str) -> type[AbstractMethod]:
    """Find the class of a method by its name.

    Raises
    ------
    InputError
        If there is no such method, or the package that provides it cannot be imported.
    """
    if name not in METHODS:
        entries = metadata.entry_points(group=ENTRY_POINTS, name=name)
        if not entries:
            near = nearest(name.lower(), method_names())
            raise InputError(
                "There is no such method.",
                given=name,
                expected=", ".join(method_names()),
                next_step=f"use {near}" if near else "correct the name; docs/method.md describes the methods",
            )
        _load(next(iter(entries)))
    return METHODS[name]


def make_method(name: str, options: Mapping[str, object] | None = None) -> AbstractMethod:
    """Create a method by name, with options.

    Raises
    ------
    InputError
        If there is no such method or option, or the value of an option has the wrong type.
    """
    kind, options = method_class(name), options or {}
    known = {field.name for field in fields(kind)}
    if unknown := sorted(set(options) - known):
        near = nearest(unknown[0], sorted(known))
        raise InputError(
            f"The method {name} has no such option.",
            given=", ".join(unknown),
            expected=", ".join(sorted(known)) or "no options",
            next_step=f"use {near}" if near else "",
        )
    hints = get_type_hints(kind)
    for option, value in options.items():
        if not is_of_type(value, hints[option]):
            raise InputError(
                f"The option {option} of the method {name} has the wrong type.",
                given=repr(value),
                expected=words_for(hints[option]),
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(
                f"The option {option} of the method {name} is out of range.",
                given=str(value),
                expected="a finite number",
            )
    return kind(**options)


def _load(entry: metadata.EntryPoint) -> None:
    """Import and register the method of an entry point.

    Raises
    ------
    InputError
        If the import fails, or the class is not a method of that name.
    """
    package = entry.dist.name if entry.dist else entry.module
    try:
        kind = entry.load()
    except Exception as error:
        raise InputError(
            f"The method {entry.name} of the package {package} cannot be imported.",
            given=entry.value,
            cause=f"{type(error).__name__}: {error}",
            next_step=f"repair or uninstall {package}",
        ) from error
    if getattr(kind, "name", None) != entry.name:
        raise InputError(
            f"The package {package} provides the method {entry.name}, but its class has another name.",
            given=f"{entry.value} with the name {getattr(kind, 'name', None)!r}",
            expected=f"a method of the name {entry.name}",
        )
    register_method(kind)
