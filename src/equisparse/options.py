"""Options as data: sentence, group, placeholder and allowed range of a field, and the check of its value.

A field of a dataclass is an option if its type is ``Annotated[..., Option(...)]``. The command line, its help and the
checks of values from Python or YAML are derived from these annotations.
"""

import math
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from inspect import get_annotations
from pathlib import PurePath
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Literal, Union, get_args, get_origin, get_type_hints

from equisparse.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

DATA = "Data"
MODEL = "Base model"
CHANGE = "What changes"
TRAINING = "Training"
CLOSENESS = "Staying close to the base"
TESTS = "Tests"
OUTPUT = "Output"
MAGNETISM = "Magnetism"
ADVANCED = "Advanced"
GROUPS = (DATA, MODEL, CHANGE, TRAINING, CLOSENESS, TESTS, OUTPUT, MAGNETISM, ADVANCED)
"""Groups of options in the order in which they are shown."""

_WORDS: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    list: "a list",
    dict: "a mapping",
}


@dataclass(frozen=True)
class Option:
    """Description of one option.

    Parameters
    ----------
    sentence : str
        What the option does, for users: plain text, without a full stop.
    group : str
        One of `GROUPS`.
    metavar : str
        Placeholder of the value, such as ``FILE``; derived from the type if empty.
    least, most : float or None
        Allowed range, limits included.
    above, below : float or None
        Allowed range, limits excluded.
    shown_default : str
        Default in words, for options whose default is None.
    positional : bool
        Whether the option is given by position, without its name.
    """

    sentence: str
    group: str
    metavar: str = ""
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    shown_default: str = ""
    positional: bool = False

    @property
    def range(self) -> str:
        """Allowed range in words; empty if every value is allowed.

        >>> Option("Learning rate", TRAINING, above=0, below=10).range
        'above 0 and below 10'
        """
        limits = (
            (self.least, "at least"),
            (self.above, "above"),
            (self.most, "at most"),
            (self.below, "below"),
        )
        return " and ".join(f"{text} {_shown(limit)}" for limit, text in limits if limit is not None)

    def allows(self, value: float) -> bool:
        """Tell whether a number is finite and in the allowed range."""
        return (
            math.isfinite(value)
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )


@dataclass(frozen=True)
class OptionField:
    """One option of a dataclass.

    Parameters
    ----------
    name : str
        Name of the field.
    kind : object
        Its type, without the annotation.
    default : object
        Its default; `dataclasses.MISSING` if a value is required.
    option : Option
        Its description.
    """

    name: str
    kind: object
    default: object
    option: Option

    @property
    def required(self) -> bool:
        """True if a value has to be given."""
        return self.default is MISSING

    @property
    def choices(self) -> tuple[str, ...]:
        """Allowed values of a choice; empty for other options."""
        return tuple(choice for part in _parts(self.kind) if get_origin(part) is Literal for choice in get_args(part))


def options_of(kind: type["DataclassInstance"]) -> dict[str, OptionField]:
    """Options of a dataclass by name: first those of the class, then those of its bases."""
    hints = get_type_hints(kind, include_extras=True)
    defaults = {field.name: field.default for field in fields(kind)}
    names = dict.fromkeys(name for part in kind.__mro__ for name in get_annotations(part) if name in defaults)
    options = {name: _option_field(name, hints[name], defaults[name]) for name in names}
    return {name: option for name, option in options.items() if option is not None}


def flag(name: str) -> str:
    """Spelling of an option on the command line.

    >>> flag("batch_size")
    '--batch-size'
    >>> flag("run_")  # the underscore sets the name apart from that of a method
    '--run'
    """
    return "--" + name.rstrip("_").replace("_", "-")


def check_options(values: "DataclassInstance") -> None:
    """Check the type and the range of every option of a dataclass.

    Raises
    ------
    InputError
        If a value has the wrong type, is not one of the choices, or is out of range.
    """
    for name, field in options_of(type(values)).items():
        check_option(field, getattr(values, name))


def check_option(field: OptionField, value: object) -> None:
    """Check one value; see `check_options`.

    Raises
    ------
    InputError
        If the value cannot be used.
    """
    if field.choices and value is not None and not (isinstance(value, str) and value in field.choices):
        near = nearest(str(value), field.choices)
        raise InputError(
            f"Invalid value for {flag(field.name)}.",
            given=str(value),
            expected=" or ".join(field.choices),
            next_step=f"use {near}" if near else "",
        )
    if not _has_type(value, field.kind):
        raise _wrong_type(field, value)
    if isinstance(value, str) and (not value or "\0" in value):
        raise InputError(f"Invalid value for {flag(field.name)}.", given=repr(value), expected="text that is not empty")
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not field.option.allows(value):
        expected = field.option.range or "a finite number"
        raise InputError(f"{flag(field.name)} is out of range.", given=str(value), expected=expected)


def _wrong_type(field: OptionField, value: object) -> InputError:
    """Error for a value of the wrong type, with the allowed range and the likely slip."""
    step = ""
    kinds = [get_origin(part) or part for part in _parts(field.kind)]
    if isinstance(value, str) and (int in kinds or float in kinds):
        step = "write the number without quotes and units"
    elif isinstance(value, str) and list in kinds:
        step = f"write a list, such as [{value}]"
    words = " and ".join(filter(None, (words_for(field.kind), field.option.range)))
    return InputError(f"Invalid value for {flag(field.name)}.", given=repr(value), expected=words, next_step=step)


def check_positive(**numbers: float) -> None:
    """Check that all arguments of a function are positive, by name.

    Raises
    ------
    InputError
        If one is not.
    """
    for name, value in numbers.items():
        if not value > 0:
            raise InputError(f"Invalid option {name}.", given=str(value), expected="a positive number")


def check_counts(**counts: int) -> None:
    """Check that all arguments of a function, by name, are at least 1.

    Raises
    ------
    InputError
        If one is not.
    """
    for name, value in counts.items():
        if value < 1:
            raise InputError(f"Invalid option {name}.", given=str(value), expected="1 or more")


def nearest(word: str, known: tuple[str, ...] | list[str]) -> str | None:
    """Known word that is most similar to a mistyped one; None if no word is similar.

    >>> nearest("batchsize", ["batch_size", "base"])
    'batch_size'
    """
    return next(iter(get_close_matches(word, known, n=1, cutoff=0.6)), None)


def takes_numbers(kind: object) -> bool:
    """Tell whether a type admits a number, alone or as a value of a mapping.

    >>> takes_numbers(float | None), takes_numbers(dict[str, float] | None), takes_numbers(str)
    (True, True, False)
    """
    parts = _parts(kind)
    values = [part for outer in parts if get_origin(outer) is dict for part in _parts(get_args(outer)[1])]
    return float in (*parts, *values)


def takes_whole_numbers(kind: object) -> bool:
    """Tell whether a type admits a whole number.

    >>> takes_whole_numbers(int | None), takes_whole_numbers(str)
    (True, False)
    """
    return int in _parts(kind)


def words_for(kind: object) -> str:
    """Describe a type in words, for messages.

    >>> words_for(float | None)
    'a number'
    """
    words = (_WORDS.get(get_origin(part) or part, "") for part in _parts(kind))
    return " or ".join(word for word in words if word)


def plain_value(value: object) -> object:
    """Value of plain Python types: numbers of NumPy and paths are converted, also within lists and mappings.

    >>> from pathlib import PurePosixPath
    >>> plain_value({"a": [PurePosixPath("b/c"), 1]})
    {'a': ['b/c', 1]}
    """
    if isinstance(value, dict):
        return {name: plain_value(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    if isinstance(value, PurePath):
        return str(value)
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()  # type: ignore[attr-defined]
    return value


def _shown(limit: float) -> str:
    """Limit of a range; whole numbers in full."""
    return str(int(limit)) if math.isfinite(limit) and limit == int(limit) else f"{limit:g}"


def _option_field(name: str, hint: object, default: object) -> OptionField | None:
    """Option of one field; None if the field is not an option."""
    if get_origin(hint) is not Annotated:
        return None
    kind, *extras = get_args(hint)
    option = next((extra for extra in extras if isinstance(extra, Option)), None)
    return None if option is None else OptionField(name, kind, default, option)


def _parts(kind: object) -> tuple[object, ...]:
    """Members of a union; any other type alone."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _has_type(value: object, kind: object) -> bool:
    """Tell whether a value has a type such as ``list[str] | None``; an int is also a float."""
    return any(_has_plain_type(value, part) for part in _parts(kind))


def _has_plain_type(value: object, kind: object) -> bool:
    """Tell whether a value has a type that is not a union."""
    if kind in (None, NoneType):
        return value is None
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is list:
        return isinstance(value, (list, tuple)) and all(_has_type(item, get_args(kind)[0]) for item in value)
    if get_origin(kind) is dict:
        named, values = get_args(kind)
        return isinstance(value, dict) and all(
            _has_type(name, named) and _has_type(item, values) for name, item in value.items()
        )
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, get_origin(kind) or kind)  # type: ignore[arg-type]
