"""Read labelled frames from any file that ASE reads."""

import bz2
import glob
import gzip
import io
import lzma
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import ase.db
import ase.io
import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from equisparse.data.demo import demo_paths, is_demo
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.labels import (
    LabelKeys,
    LabelUnits,
    choose_names,
    read_labels,
    require_keys,
    stored_values,
)
from equisparse.errors import DataError, MissingPackageError

IN_MEMORY = "memory"
"""Source of frames that were not read from a file."""

_LMDB = ".aselmdb"
_DATABASES = (".db", _LMDB)
_OPENERS: Mapping[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_MAGIC = ("*", "?", "[")


def read_frames(
    pattern: str | Path | Sequence[str | Path], keys: LabelKeys | None = None, units: LabelUnits | None = None
) -> list[LabelledFrame]:
    """Read all frames of some files, in the order given; files of a glob are sorted by name.

    Forces are taken as the code computed them: constraints do not set them to zero. Constrained atoms are recorded in
    `LabelledFrame.fixed`.

    Parameters
    ----------
    pattern : str, Path or sequence of these
        Files or globs: extxyz (also ``.gz``, ``.bz2``, ``.xz``), ASE db, aselmdb and traj, VASP OUTCAR and
        vasprun.xml, and any other format that ASE reads. ``demo`` and ``demo-spin`` are all frames of a packaged set,
        ``demo:train``, ``demo:valid`` and ``demo:test`` its parts.
    keys : LabelKeys, optional
        Names of the labels; by default the usual names are tried.
    units : LabelUnits, optional
        Units of the labels; by default eV, Angstrom and the stress of ASE.

    Returns
    -------
    list of LabelledFrame
        At least one. A label that a frame lacks is absent.

    Raises
    ------
    DataError
        If no file matches, a file is empty, truncated or unreadable, no frame has a named key, or a frame has no atoms
        or a position that is not finite.
    MissingPackageError
        If a format needs a package that is not installed.
    """
    return _with_labels({path: _read_images(path) for path in find_files(pattern)}, keys, units)


def label_frames(
    images: Sequence[Atoms],
    keys: LabelKeys | None = None,
    units: LabelUnits | None = None,
    *,
    source: str = IN_MEMORY,
) -> list[LabelledFrame]:
    """Labelled frames of structures in memory; their labels are found as in a file.

    Parameters
    ----------
    images : sequence of Atoms
        With labels in `info`, `arrays` or the results of a calculator; not changed.
    keys : LabelKeys, optional
        Names of the labels; by default the usual names are tried.
    units : LabelUnits, optional
        Units of the labels; by default eV, Angstrom and the stress of ASE.
    source : str
        Name of the structures in messages, in place of a file.

    Raises
    ------
    DataError
        If no structure has a named key, or a structure has no atoms or a position that is not finite.
    """
    return _with_labels({source: list(images)}, keys, units)


def _with_labels(
    images: Mapping[str, Sequence[Atoms]], keys: LabelKeys | None, units: LabelUnits | None
) -> list[LabelledFrame]:
    """Labelled frames of the structures of each source."""
    keys, units = keys or LabelKeys(), units or LabelUnits()
    stored = {source: [stored_values(atoms) for atoms in frames] for source, frames in images.items()}
    require_keys(keys, {name for values in stored.values() for frame in values for name in frame})
    labelled = []
    for source, frames in images.items():
        names = choose_names(stored[source], keys)
        for index, (atoms, values) in enumerate(zip(frames, stored[source], strict=True)):
            labelled.append(_labelled(atoms, values, names, units, source, index))
    return labelled


def find_files(pattern: str | Path | Sequence[str | Path]) -> list[str]:
    """Files that one or more names or globs match, without duplicates.

    Raises
    ------
    DataError
        If one of them matches no file.
    """
    patterns = [pattern] if isinstance(pattern, str | Path) else list(pattern)
    if not patterns:
        raise DataError(
            "No data file is given.",
            expected="one or more files or globs",
            next_step="give a file or a glob, such as 'train/*.xyz'",
        )
    return list(dict.fromkeys(path for text in patterns for path in _expand(str(text))))


def _expand(pattern: str) -> list[str]:
    """Files that one name or glob matches."""
    if Path(pattern).is_file():
        return [pattern]
    if is_demo(pattern):
        return demo_paths(pattern)
    if Path(pattern).is_dir():
        raise DataError(
            "A data file is a folder.",
            given=pattern,
            expected="a file or a glob",
            next_step=f"name the files: {pattern.rstrip('/')}/*",
        )
    matches = glob.glob(pattern, recursive=True)  # noqa: PTH207  Path.glob accepts no absolute pattern
    files = sorted(path for path in matches if Path(path).is_file())
    if not files:
        raise DataError(
            f"No file matches {pattern!r}.",
            given=f"{pattern!r}, relative to {Path.cwd()}",
            expected="an existing file, a glob, demo or demo-spin",
            cause="a misspelt name, or another working directory",
            next_step=_nearest_file(pattern) or "check the name and the folder",
        )
    return files


def _nearest_file(pattern: str) -> str:
    """Advice about a name that matches no file: a missing folder, or a file with a similar name."""
    folder = Path(pattern).parent
    if not folder.is_dir():
        return "" if any(mark in str(folder) for mark in _MAGIC) else f"there is no folder {str(folder)!r}"
    near = get_close_matches(Path(pattern).name, [entry.name for entry in folder.iterdir()], n=1, cutoff=0.6)
    return f"did you mean {str(folder / near[0])!r}?" if near else ""


def _read_images(path: str) -> list[Atoms]:
    """All structures of one file, with the errors of its reader as ours."""
    images: list[Atoms] = []
    if Path(path).stat().st_size == 0:
        raise DataError(f"{path} is empty.", next_step="write the file again, or remove it from the input")
    try:
        for atoms in _images(path):
            images.append(atoms)  # noqa: PERF402  if reading fails, their number says where
    except ImportError as error:
        raise MissingPackageError(
            f"Cannot read {path}: a package is not installed.",
            cause=str(error),
            next_step="pip install ase-db-backends" if path.endswith(_LMDB) else "install the package with pip",
        ) from error
    except Exception as error:  # readers of ASE raise anything on a damaged file
        raise _unreadable(path, len(images), error) from error
    if not images:
        raise DataError(f"{path} has no frames.", next_step="write the file again, or remove it from the input")
    return images


def _images(path: str) -> Iterator[Atoms]:
    """Structures of one file, with the reader that its name asks for."""
    if path.endswith(_DATABASES):
        yield from _rows(path)
    elif Path(path).suffix in _OPENERS and Path(path).stem.endswith("xyz"):
        text = _unpacked(path)
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
    options = {"readonly": True} if path.endswith(_LMDB) else {}
    with ase.db.connect(path, serial=True, **options) as database:
        for row in database.select():
            yield row.toatoms(add_additional_information=True)


def _unpacked(path: str) -> io.StringIO:
    """Text of a compressed file: ASE seeks in a file for each frame, which takes minutes if it is compressed."""
    with _OPENERS[Path(path).suffix](path, "rt") as file:
        return io.StringIO(file.read())


def _require_whole_frames(lines: TextIO) -> None:
    """Raise ValueError if a frame of an XYZ file has fewer lines than atoms, for which ASE would search for ever."""
    while count := lines.readline().strip():
        if not count.isdigit():  # ASE reports such a line
            return
        n_lines = int(count) + 1
        if sum(1 for _ in islice(lines, min(n_lines, sys.maxsize))) < n_lines:
            raise ValueError(f"a frame of {count} atoms is truncated")


def _unreadable(path: str, n_read: int, error: Exception) -> DataError:
    """Error for a file whose reader failed after `n_read` frames."""
    reason = " ".join(str(error).split())[:200]
    return DataError(
        f"Cannot read {path}" + (f" after frame {n_read - 1}." if n_read else "."),
        given=f"{type(error).__name__}: {reason}" if reason else type(error).__name__,
        expected="a complete file in a format that ASE knows",
        cause="a truncated or damaged file, or a file name from which ASE cannot infer the format",
        next_step=f"try `ase info {path}`; write the file again, or remove the damaged frame",
    )


def _labelled(
    atoms: Atoms, values: dict[str, Any], names: Mapping[str, str], units: LabelUnits, path: str, index: int
) -> LabelledFrame:
    """Labelled frame of a structure and its stored values."""
    volume = float(abs(np.linalg.det(atoms.cell.array)))
    _require_structure(atoms, f"{path}, frame {index}")
    try:
        labels, spins = read_labels(values, names, units, len(atoms), volume)
    except DataError as error:
        raise DataError(f"{path}, frame {index}: {error}") from error
    return LabelledFrame(_clean_copy(atoms, names.values(), spins), labels, path, index, _fixed_atoms(atoms))


def _require_structure(atoms: Atoms, location: str) -> None:
    """Raise DataError if a frame has no atoms, or positions or a cell that are not finite."""
    if not len(atoms):
        raise DataError(f"{location}: the frame has no atoms.", next_step="remove the frame")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise DataError(
            f"{location}: positions or cell vectors are NaN or infinite.",
            cause="a simulation that diverged, or a damaged file",
            next_step="remove the frame",
        )


def _clean_copy(atoms: Atoms, names: Iterable[str], spins: Floats | None) -> Atoms:
    """Copy without calculator, constraints and labels, with the input spins as initial magnetic moments."""
    copy: Atoms = atoms.copy()
    copy.calc = None
    copy.set_constraint()
    for name in names:
        copy.info.pop(name, None)
        copy.arrays.pop(name, None)
    if spins is not None:
        copy.set_initial_magnetic_moments(spins)
    return copy


def _fixed_atoms(atoms: Atoms) -> NDArray[np.bool_]:
    """Mask of the atoms that any constraint fixes, wholly or in some direction."""
    fixed = np.zeros(len(atoms), dtype=np.bool_)
    for constraint in atoms.constraints:
        if hasattr(constraint, "get_indices") and type(constraint).__name__.startswith("Fix"):
            fixed[np.asarray(constraint.get_indices(), dtype=int)] = True
    return fixed
