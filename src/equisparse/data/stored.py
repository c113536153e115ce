"""Values that a structure stores under names: where each one lies, and numbers out of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from ase import Atoms

from equisparse.data.frames import Floats
from equisparse.errors import DataError

PAIRS, DATA = "key_value_pairs", "data"
"""Names in `info` under which a row of an ASE database has its own values."""


@dataclass(frozen=True, eq=False)
class StoredValue:
    """One stored value.

    Parameters
    ----------
    name : str
    place : str
        Where it is stored, in words, such as ``info``.
    value : object
        As stored.
    """

    name: str
    place: str
    value: object

    def __str__(self) -> str:
        return f"{self.name!r} ({self.place})"


Stored: TypeAlias = dict[str, list[StoredValue]]
"""Name -> values stored under it, at most one for each place."""


def stored_values(atoms: Atoms) -> Stored:
    """Everything that could be a label, by name: from info, arrays, a row of a database, then calculator results."""
    pairs, data = atoms.info.get(PAIRS, {}), atoms.info.get(DATA, {})
    places = {
        "info": {name: value for name, value in atoms.info.items() if name not in (PAIRS, DATA)},
        "arrays": {name: value for name, value in atoms.arrays.items() if name not in ("numbers", "positions")},
        "key-value pairs": pairs if isinstance(pairs, dict) else {},
        "data of the row": data if isinstance(data, dict) else {},
        "results of a calculator": {} if atoms.calc is None else atoms.calc.results,
    }
    stored: Stored = {}
    for place, values in places.items():
        for name, value in values.items():
            if value is not None:
                stored.setdefault(str(name), []).append(StoredValue(str(name), place, value))
    return stored


def numbers(stored: StoredValue) -> Floats:
    """A stored value as float64.

    Raises
    ------
    DataError
        If it is a boolean, a text, or anything else but numbers. A key without a value is read as true by ASE.
    """
    kind = _kind(stored.value)
    if kind == "":
        return np.array(stored.value, dtype=np.float64)
    raise DataError(
        f"The label {stored.name!r} is not numeric.",
        given=" ".join(f"{kind}: {stored.value!r}".split())[:80],
        expected="a number",
        cause="a key without a value, which ASE reads as true" if kind == "a boolean" else "",
        next_step="write the number, remove the key, or name another key",
    )


def _kind(value: object) -> str:
    """Kind of a value in words; an empty text for numbers."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of unequal lengths
        return "lists of unequal lengths"
    if array.dtype.kind in "iuf":
        return ""
    return {"b": "a boolean", "U": "a text", "S": "a text", "c": "a complex number"}.get(array.dtype.kind, "an object")


def sentence_of(values: Sequence[StoredValue]) -> str:
    """Names and places as text."""
    return " and ".join(map(str, values))
