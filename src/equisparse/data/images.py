"""Structures of one file, with the errors of its reader as ours."""

import bz2
import gzip
import lzma
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import ase.db
import ase.io
from ase import Atoms

from equisparse.data.convergence import mark_unconverged
from equisparse.data.foreign import refuse_foreign
from equisparse.data.lmdb_file import LMDB, check_lmdb, refuse_other_lmdb
from equisparse.data.parquet import PARQUET, parquet_structures
from equisparse.errors import DataError, MissingPackageError
from equisparse.wording import counted

_DATABASES = (".db", LMDB)
_PACKAGES: Mapping[str, str] = {LMDB: "pip install ase-db-backends", PARQUET: "pip install pyarrow"}
"""How to install what a kind of file needs."""
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"|\{[^}]*\}')
_KEY = re.compile(r"([^\s=]+)\s*=")
_BOOLEANS = re.compile(r":([^:\s]*(?:force|mag|spin)[^:\s]*):L:", re.IGNORECASE)
_MOST_UNPACKED = 2**26  # bytes of an unpacked file in memory; longer ones go to the disk
_NOTHING = "\0"
_EMPTY = re.compile(rf"([^\s=]+)\s*=(?:\s+[^\s=]+\s*=|\s*{_NOTHING}\s+\S)")
_OPENERS: Mapping[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def read_images(path: str) -> list[Atoms]:
    """All structures of one file, with the errors of its reader as ours."""
    return list(iterate_images(path))


def iterate_images(path: str) -> Iterator[Atoms]:
    """Structures of one file in order, with the errors of its reader as ours.

    Extended XYZ, databases and Parquet are read a few structures at a time; other files are read as a whole.

    Raises
    ------
    DataError
        If the file is empty, damaged, cut off, or in a format that ASE does not know.
    MissingPackageError
        If its format needs a package that is not installed.
    """
    if Path(path).stat().st_size == 0:
        raise DataError(f"{path} is empty.", next_step="write the file again, or remove it from the input")
    refuse_foreign(path)
    refuse_other_lmdb(path)
    images = _translated(path, _images(path))
    if not (_is_xyz(path) or path.endswith((*_DATABASES, PARQUET))):
        whole = list(images)
        mark_unconverged(path, whole)
        images = iter(whole)
    yield from images


def _translated(path: str, images: Iterator[Atoms]) -> Iterator[Atoms]:
    """Structures of a reader, with its errors as ours."""
    n_read = 0
    while True:
        try:
            atoms = next(images, None)
        except ImportError as error:
            raise MissingPackageError(
                f"Cannot read {path}: a package is not installed.",
                cause=str(error),
                next_step=_PACKAGES.get(Path(path).suffix, "install the package with pip"),
            ) from error
        except DataError:
            raise
        except Exception as error:  # readers of ASE raise anything on a damaged file
            raise _unreadable(path, n_read, error) from error
        if atoms is None:
            break
        n_read += 1
        yield atoms
    if not n_read:
        raise DataError(f"{path} has no frames.", next_step="write the file again, or remove it from the input")


def _is_xyz(path: str) -> bool:
    """Return whether a file is extended XYZ, compressed or not."""
    name = Path(path)
    return path.endswith("xyz") or (name.suffix in _OPENERS and name.stem.endswith("xyz"))


def _images(path: str) -> Iterator[Atoms]:
    """Structures of one file, with the reader that its name asks for."""
    if path.endswith(_DATABASES):
        yield from _rows(path)
    elif path.endswith(PARQUET):
        yield from parquet_structures(path)
    elif Path(path).suffix in _OPENERS and Path(path).stem.endswith("xyz"):
        with _unpacked(path) as text:
            _require_whole_frames(text)
            text.seek(0)
            yield from ase.io.iread(text, index=":", format="extxyz")
    else:
        if path.endswith("xyz"):
            with Path(path).open() as file:
                _require_whole_frames(file)
        yield from ase.io.iread(path, index=":", do_not_split_by_at_sign=True)


def _rows(path: str) -> Iterator[Atoms]:
    """Structures of an ASE database, with all information that is stored beside them."""
    options = {}
    if path.endswith(LMDB):
        options = {"readonly": True}
        check_lmdb(path)
    with ase.db.connect(path, serial=True, **options) as database:
        for row in database.select():
            yield row.toatoms(add_additional_information=True)


@contextmanager
def _unpacked(path: str) -> Iterator[TextIO]:
    """Text of a compressed file: ASE seeks in a file for each frame, which takes minutes if it is compressed."""
    with tempfile.SpooledTemporaryFile(_MOST_UNPACKED, "w+") as unpacked:
        with _OPENERS[Path(path).suffix](path, "rt") as file:
            shutil.copyfileobj(file, unpacked)
        unpacked.seek(0)
        yield unpacked  # type: ignore[misc]  # it has all methods of a text file


def _require_whole_frames(lines: TextIO) -> None:
    """Refuse an XYZ file with a frame that ASE would misread.

    Raises
    ------
    ValueError
        If a frame has fewer lines than atoms, for which ASE would search for ever, or its header cannot be trusted.
    """
    index = 0
    while count := lines.readline().strip():
        if not count.isdigit():  # ASE reports such a line
            return
        n_lines, header = int(count), lines.readline()
        if not header or sum(1 for _ in islice(lines, min(n_lines, sys.maxsize))) < n_lines:
            raise ValueError(f"frame {index}: a frame of {counted(n_lines, 'atom')} is truncated")
        if problem := _header_problem(header):
            raise ValueError(f"frame {index}: {problem}")
        index += 1


def _header_problem(header: str) -> str:
    """Problem of the header of a frame.

    ASE takes the last value of a key, the next key for the value of an empty one, and booleans in a column for 0 and 1.
    """
    plain = _QUOTED.sub(lambda match: "value" if len(match[0]) > 2 else _NOTHING, header)
    keys = _KEY.findall(plain)
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        return f"the header has several values of {', '.join(twice)}"
    if empty := _EMPTY.search(plain):
        return f"the key {empty[1]} has no value, and the next one would be taken for it"
    if booleans := _BOOLEANS.search(plain):
        return f"the column {booleans[1]} holds booleans"
    return ""


def _unreadable(path: str, n_read: int, error: Exception) -> DataError:
    """Error for a file whose reader failed after `n_read` frames."""
    reason = " ".join(str(error).split())[:200]
    cause, next_step = _advice(path)
    return DataError(
        f"Cannot read {path}" + (f" after frame {n_read - 1}." if n_read else "."),
        given=f"{type(error).__name__}: {reason}" if reason else type(error).__name__,
        expected="a complete file in a format that ASE knows",
        cause=cause,
        next_step=next_step,
    )


def _advice(path: str) -> tuple[str, str]:
    """Likely cause of a file that cannot be read, and the next step."""
    if path.endswith((LMDB, PARQUET)):
        packages = "ase, lmdb and ase-db-backends" if path.endswith(LMDB) else "pyarrow"
        return (
            f"a copy that was cut off, a damaged row, or a file that another version of {packages} wrote",
            f"compare its size with that of the original and copy it again; or update {packages}",
        )
    return (
        "a truncated or damaged file, or a file name from which ASE cannot infer the format",
        f"try `ase info {path}`; write the file again, or remove the damaged frame",
    )
