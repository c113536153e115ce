"""CSV tables whose rows are dataclasses; values are read back with the types that were written."""

import csv
import io
import types
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from equisparse.errors import InputError
from equisparse.files import make_folder, write_text

RowT = TypeVar("RowT")

_Parse = Callable[[str], Any]


@dataclass(frozen=True)
class TableFile(Generic[RowT]):
    """A CSV file with one row per object of a dataclass.

    Parameters
    ----------
    path : Path
    row : type
        Dataclass whose fields are ``int``, ``float``, ``bool``, ``str``, a literal of strings, or one of these or None.
        A field of type ``str | int`` is read as an int if its text is the usual form of one.
    """

    path: Path
    row: type[RowT]

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [field.name for field in fields(self.row)]  # type: ignore[arg-type]

    def write(self, rows: Iterable[RowT]) -> None:
        """Replace the file; None becomes an empty field. The folder is made if it does not exist.

        Raises
        ------
        WriteError
            If the file cannot be written.
        """
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(self.columns)
        for row in rows:
            writer.writerow(astuple(row))  # type: ignore[call-overload]
        make_folder(self.path.parent)
        write_text(self.path, text.getvalue())

    def read(self) -> list[RowT]:
        """Rows of the file; empty if it does not exist.

        Raises
        ------
        InputError
            If a column is missing, or a value does not have the type of its column.
        """
        if not self.path.exists():
            return []
        parsers = _parsers(self.row)  # type: ignore[arg-type]
        with self.path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        try:
            return [self.row(**{name: parse(line[name]) for name, parse in parsers.items()}) for line in lines]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                "A table of the run is damaged.",
                given=str(self.path),
                expected=f"the columns {', '.join(self.columns)}",
                cause=f"{type(error).__name__}: {error}",
                next_step="repeat the run",
            ) from error


@cache
def _parsers(row: type) -> dict[str, _Parse]:
    """Parser of each column, by its name."""
    hints = get_type_hints(row)
    return {field.name: _parser(hints[field.name]) for field in fields(row)}


def _parser(kind: Any) -> _Parse:
    """Parser of a type."""
    members = set(get_args(kind)) if get_origin(kind) in (Union, types.UnionType) else {kind}
    if type(None) in members:
        return _optional(_single_parser(members - {type(None)}))
    return _single_parser(members)


def _single_parser(members: set[Any]) -> _Parse:
    """Parser of one of several types, none of which is None."""
    if members == {int, str}:
        return _int_or_text
    (kind,) = members
    if get_origin(kind) is Literal:
        return _one_of(get_args(kind))
    parsers: dict[Any, _Parse] = {int: int, float: float, str: str, bool: _truth}
    return parsers[kind]


def _optional(parse: _Parse) -> _Parse:
    """Parser that returns None for an empty text."""
    return lambda text: None if text == "" else parse(text)


def _one_of(values: tuple[str, ...]) -> _Parse:
    """Parser that accepts only the given values."""

    def parse(text: str) -> str:
        if text not in values:
            raise ValueError(f"{text!r} is none of {', '.join(values)}")
        return text

    return parse


def _truth(text: str) -> bool:
    """Boolean of ``True`` or ``False``."""
    return {"True": True, "False": False}[text]


def _int_or_text(text: str) -> int | str:
    """Int if the text is its usual form, such as ``-1``; the text itself otherwise, such as ``1_000`` or ``01``."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and str(int(text)) == text else text
