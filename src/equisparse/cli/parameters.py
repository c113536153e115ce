"""Options of a dataclass as parameters of the command line."""

from collections.abc import Mapping
from dataclasses import MISSING
from inspect import Parameter as Argument
from inspect import Signature
from types import NoneType
from typing import Annotated, get_args, get_origin

import yaml
from cyclopts import Group, Parameter

from equisparse.cli.command import Command
from equisparse.errors import InputError
from equisparse.options import GROUPS, OptionField, flag, options_of

_METAVARS: Mapping[object, str] = {int: "N", float: "X", str: "TEXT"}
_SHORT = {"quiet": "-q", "verbose": "-v"}
_PANELS = {name: Group(name, sort_key=index) for index, name in enumerate(GROUPS)}


def signature(kind: type[Command]) -> Signature:
    """Signature of a function that takes the options of a command: first positional values, of these a list last."""
    fields = sorted(options_of(kind).values(), key=_position)
    return Signature([_argument(field) for field in fields])


def _position(field: OptionField) -> int:
    """Key for sorting options; a list takes all words that are left, so it is the last of the positional ones."""
    if not field.option.positional:
        return 2
    return 1 if _is_list(field.kind) else 0


def given_values(kind: type[Command], bound: Mapping[str, object]) -> dict[str, object]:
    """Convert the values of a command line to the types of the options.

    Raises
    ------
    InputError
        If the word true or false is among files: the flag before it takes no value.
    """
    fields, values = options_of(kind), dict(bound)
    for name, value in values.items():
        if isinstance(value, list) and (word := next((item for item in value if item in ("true", "false")), None)):
            raise InputError(
                f"Flags take no value, so {word} was taken as one of {_label(fields[name])}.",
                given=word,
                expected="a flag alone, such as --spin or --no-fast",
                next_step=f"leave {word} out, or write it with an equals sign, such as --fast={word}",
            )
    if isinstance(options := values.get("method_options"), Mapping):
        values["method_options"] = {key.replace("-", "_"): _typed(value) for key, value in options.items()}
    return values


def _typed(value: object) -> object:
    """Value of an option of a method: a number, true, false or null if the text is one of them, else the text."""
    if not isinstance(value, str):
        return value
    try:
        read: object = yaml.safe_load(value)
    except yaml.YAMLError:
        return value  # a text, which no option of that type takes
    return read


def _argument(field: OptionField) -> Argument:
    """Parameter of one option."""
    option = field.option
    default = Argument.empty if field.required and not option.positional else field.default
    parameter = Parameter(
        name=_names(field),
        alias=_SHORT.get(field.name),
        help=option.sentence,
        group=_PANELS[option.group],
        metavar=_metavar(field),
        negative_iterable=(),
        negative=None if field.default is True else (),
        consume_multiple=1 if _is_list(field.kind) else None,
        show_default=_shown_default(field),
        required=field.required and field.name != "train",
    )
    form = Argument.POSITIONAL_OR_KEYWORD if option.positional else Argument.KEYWORD_ONLY
    return Argument(
        field.name, form, default=None if field.required else default, annotation=Annotated[_kind(field), parameter]
    )


def _kind(field: OptionField) -> object:
    """Type that the parser converts to; options of methods are converted later."""
    return dict[str, str | None] | None if field.name == "method_options" else field.kind


def _names(field: OptionField) -> tuple[str, ...]:
    """Spellings of an option; positional values can also be given by the name of their placeholder."""
    name = flag(field.name)
    if field.option.positional and _label(field).lower() != field.name:
        return ("--" + _label(field).lower(), name)
    return (name,)


def _label(field: OptionField) -> str:
    """Placeholder of the values of an option."""
    return field.option.metavar or field.name.upper()


def _metavar(field: OptionField) -> str | None:
    """Placeholder of the value; None for choices and flags, whose placeholder is set by the help."""
    parts = [part for part in get_args(field.kind) or (field.kind,) if part is not NoneType]
    text = field.option.metavar or ("" if field.choices else _METAVARS.get(parts[0], ""))
    return f"{text}..." if text and _is_list(field.kind) else text or None


def _is_list(kind: object) -> bool:
    """Tell whether a type is a list, or a list or None."""
    return any(get_origin(part) is list for part in (kind, *get_args(kind)))


def _shown_default(field: OptionField) -> bool | str:
    """Default as the help shows it; False if there is nothing to show, as for flags."""
    if field.option.shown_default:
        return field.option.shown_default
    return not isinstance(field.default, bool) and field.default not in (None, MISSING)
