"""Structures of Parquet files, in which hubs offer data sets: one row per structure, with its labels in columns.

Positions and cells are in Angstrom. The columns of labels keep their names, so names, units and signs are chosen as for
any other file. Known columns are those of ColabFit's schema of configurations, those of LeMaterial, which are
OPTIMADE's, and those of ASE.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module

import numpy as np
from ase import Atoms

from equisparse.errors import DataError
from equisparse.wording import counted

PARQUET = ".parquet"
"""Suffix of the files."""

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "elements": ("atomic_numbers", "numbers", "species_at_sites", "symbols"),
    "positions": ("positions", "cartesian_site_positions"),
    "cell": ("cell", "lattice_vectors"),
    "periodicity": ("pbc", "dimension_types"),
}
"""Part of a structure -> names of its column."""
_REQUIRED = ("elements", "positions")
_ROWS = 256

_Row = dict[str, object]


def parquet_structures(path: str) -> Iterator[Atoms]:
    """Structures of a file in order; the values of all other columns are in `info`.

    A value that is null is left out, and so are columns of lists of text or of tables. A structure with a cell and
    without a column of its periodicity is periodic.

    Raises
    ------
    DataError
        If a column or a value of elements or positions is missing, or they do not fit each other.
    ImportError
        If pyarrow is not installed.
    OSError, ValueError
        If the file is damaged.
    """
    with import_module("pyarrow.parquet").ParquetFile(path) as file:
        columns = _columns(path, file.schema_arrow.names)
        batches = file.iter_batches(batch_size=_ROWS)
        for index, row in enumerate(row for batch in batches for row in batch.to_pylist()):
            parts = {part: row.pop(column) for part, column in columns.items()}
            atoms = _structure(parts, f"{path}, frame {index}")
            atoms.info = _plain(row)
            yield atoms


def _columns(path: str, names: Sequence[str]) -> dict[str, str]:
    """Columns of the parts of a structure; that of elements and that of positions have to be there."""
    found = {part: next((name for name in known if name in names), None) for part, known in _COLUMNS.items()}
    for part in _REQUIRED:
        if found[part] is None:
            raise DataError(
                f"{path} has no column of {part}.",
                given="the columns " + ", ".join(names),
                expected=" or ".join(_COLUMNS[part]) + (", Cartesian, in Angstrom" if part == "positions" else ""),
                cause="a table of properties of whole data sets, or other names",
                next_step="choose the files of the structures, or rename the column",
            )
    return {part: name for part, name in found.items() if name is not None}


def _structure(parts: Mapping[str, object], location: str) -> Atoms:
    """Structure of its parts in a row."""
    missing = [part for part in _REQUIRED if parts[part] is None]
    if missing:
        raise DataError(f"{location}: there are no {' and no '.join(missing)}.", next_step="remove the row")
    species, positions = np.asarray(parts["elements"]), np.asarray(parts["positions"], dtype=np.float64)
    if species.ndim != 1 or positions.size != 3 * species.size:
        raise DataError(
            f"{location}: elements and positions do not fit each other.",
            given=f"{counted(species.size, 'element')} and {counted(positions.size, 'coordinate')}",
            expected="three coordinates for each element",
            cause="elements of the formula in place of those of the atoms, or a damaged row",
            next_step="correct or remove the row",
        )
    atoms = Atoms(species, positions.reshape(-1, 3))
    if parts.get("cell") is not None:
        atoms.cell = np.asarray(parts["cell"], dtype=np.float64).reshape(3, 3)
        atoms.pbc = True
    if parts.get("periodicity") is not None:
        atoms.pbc = np.asarray(parts["periodicity"], dtype=bool)
    return atoms


def _plain(row: _Row) -> _Row:
    """Texts, numbers and arrays of numbers of a row, by name."""
    values = {name: np.asarray(value) if isinstance(value, list) else value for name, value in row.items()}
    return {name: value for name, value in values.items() if _is_plain(value)}


def _is_plain(value: object) -> bool:
    """Return whether a value is a text, a number or an array of numbers."""
    return isinstance(value, str | int | float) or (isinstance(value, np.ndarray) and value.dtype.kind in "iufb")
