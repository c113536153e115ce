"""Reference values of properties from a JSON or CSV file."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from equisparse.errors import InputError

References: TypeAlias = Mapping[str, Mapping[str, float]]
"""Reference values: name of a structure -> name of a property -> value."""

_COLUMNS = ("structure", "property", "value")
_FORMS = 'JSON such as {"MgO": {"bulk_modulus_gpa": 160}}, or CSV with the columns structure, property, value'


def read_references(path: str | Path) -> References:
    """Read reference values of properties.

    Parameters
    ----------
    path : str or Path
        JSON file with one mapping of property to value per structure, or CSV file (ending ``.csv``) with the columns
        structure, property and value.

    Raises
    ------
    InputError
        If the file is missing, in another form, or has a value that is not a number.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        values: dict[str, dict[str, float]] = {}
        for structure, name, value in _csv(text) if str(path).endswith(".csv") else _json(text):
            values.setdefault(structure, {})[name] = value
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "The reference values cannot be read.",
            given=str(path),
            expected=_FORMS,
            cause=f"{type(error).__name__}: {str(error)[:200]}",
        ) from error
    return values


def _json(text: str) -> Iterator[tuple[str, str, float]]:
    """Structure, property and value of each entry of a mapping of mappings."""
    for structure, values in json.loads(text).items():
        for name, value in values.items():
            yield structure, name, float(value)


def _csv(text: str) -> Iterator[tuple[str, str, float]]:
    """Structure, property and value of each row of a table."""
    for row in csv.DictReader(text.splitlines()):
        structure, name, value = (row[column].strip() for column in _COLUMNS)
        yield structure, name, float(value)
