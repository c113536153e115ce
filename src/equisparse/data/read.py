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
    """All frames of all files, in the order given; files of a glob are sorted by name.

    Forces are taken as the code computed them: constraints do not set them to zero. They are remembered in `fixed`.

    Parameters
    ----------
    pattern : str, Path or sequence of these
        Files or globs: extxyz (also ``.gz``, ``.bz2``, ``.xz``), ASE db, aselmdb and traj, VASP OUTCAR and
        vasprun.xml, and whatever else ASE reads. `demo` and `demo-spin` are all packaged frames, `demo:train` (`valid`,
        `test`) a part of them.
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
        If nothing matches, or a file is empty, truncated or unreadable, or a named key is in no frame, or a frame
        has no atoms or a position that is not finite.
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
        If a named key is in no structure, or a structure has no atoms or a position that is not finite.
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
    """Files that one or more names or globs match, without repeats.

    Raises
    ------
    DataError
        If one of them matches no file.
    """
    patterns = [pattern] if isinstance(pattern, str | Path) else list(pattern)
    if not patterns:
        raise DataError("no data file given", next_step="give a file or a glob, such as 'train/*.xyz'")
    return list(dict.fromkeys(path for one in patterns for path in _expand(str(one))))


def _expand(pattern: str) -> list[str]:
    if Path(pattern).is_file():
        return [pattern]
    if is_demo(pattern):
        return demo_paths(pattern)
    if Path(pattern).is_dir():
        raise DataError(
            f"{pattern!r} is a folder",
            expected="a file or a glob",
            next_step=f"name the files: {pattern.rstrip('/')}/*",
        )
    matches = glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
    found = sorted(path for path in matches if Path(path).is_file())
    if not found:
        raise DataError(
            f"no file matches {pattern!r}",
            given=f"{pattern!r}, seen from {Path.cwd()}",
            next_step=_nearest_file(pattern) or "check the name and the folder",
        )
    return found


def _nearest_file(pattern: str) -> str:
    folder = Path(pattern).parent
    if not folder.is_dir():
        return "" if any(mark in str(folder) for mark in _MAGIC) else f"there is no folder {str(folder)!r}"
    near = get_close_matches(Path(pattern).name, [entry.name for entry in folder.iterdir()], n=1, cutoff=0.6)
    return f"did you mean {str(folder / near[0])!r}?" if near else ""


def _read_images(path: str) -> list[Atoms]:
    images: list[Atoms] = []
    if Path(path).stat().st_size == 0:
        raise DataError(f"{path} is empty", next_step="write the file again or leave it out")
    try:
        for atoms in _images(path):
            images.append(atoms)  # noqa: PERF402 - on failure, what was read so far tells where
    except ImportError as error:
        raise MissingPackageError(
            f"cannot read {path}: a package is missing",
            given=str(error),
            next_step="pip install ase-db-backends" if path.endswith(_LMDB) else "install it with pip",
        ) from error
    except Exception as error:  # readers of ASE raise anything on a damaged file
        raise _unreadable(path, len(images), error) from error
    if not images:
        raise DataError(f"{path} has no frames", next_step="write the file again or leave it out")
    return images


def _images(path: str) -> Iterator[Atoms]:
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
    options = {"readonly": True} if path.endswith(_LMDB) else {}
    with ase.db.connect(path, serial=True, **options) as database:
        for row in database.select():
            yield row.toatoms(add_additional_information=True)


def _unpacked(path: str) -> io.StringIO:
    """Text of a compressed file: ASE seeks in it for each frame, which takes minutes in the compressed one."""
    with _OPENERS[Path(path).suffix](path, "rt") as file:
        return io.StringIO(file.read())


def _require_whole_frames(lines: TextIO) -> None:
    """Raise ValueError if a frame of an XYZ file counts more atoms than follow: ASE would look for them for ever."""
    while count := lines.readline().strip():
        if not count.isdigit():  # what that is, ASE says
            return
        n_lines = int(count) + 1
        if sum(1 for _ in islice(lines, min(n_lines, sys.maxsize))) < n_lines:
            raise ValueError(f"a frame of {count} atoms is cut off")


def _unreadable(path: str, n_read: int, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:200]
    return DataError(
        f"cannot read {path}" + (f" after frame {n_read - 1}" if n_read else ""),
        given=f"{type(error).__name__}: {reason}" if reason else type(error).__name__,
        expected="a complete file in a format that ASE knows",
        cause="a truncated or damaged file, or a name from which ASE cannot tell the format",
        next_step=f"try `ase info {path}`; write the file again, or cut the broken frame out",
    )


def _labelled(
    atoms: Atoms, values: dict[str, Any], names: Mapping[str, str], units: LabelUnits, path: str, index: int
) -> LabelledFrame:
    volume = float(abs(np.linalg.det(atoms.cell.array)))
    _require_structure(atoms, f"{path} frame {index}")
    try:
        labels, spins = read_labels(values, names, units, len(atoms), volume)
    except DataError as error:
        raise DataError(f"{path} frame {index}: {error}") from error
    return LabelledFrame(_clean_copy(atoms, names.values(), spins), labels, path, index, _fixed_atoms(atoms))


def _require_structure(atoms: Atoms, where: str) -> None:
    if not len(atoms):
        raise DataError(f"{where} has no atoms", next_step="cut the frame out")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise DataError(
            f"{where} has positions or cell vectors that are NaN or infinite",
            cause="a simulation that exploded, or a damaged file",
            next_step="cut the frame out",
        )


def _clean_copy(atoms: Atoms, names: Iterable[str], spins: Floats | None) -> Atoms:
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
    fixed = np.zeros(len(atoms), dtype=np.bool_)
    for constraint in atoms.constraints:
        if hasattr(constraint, "get_indices") and type(constraint).__name__.startswith("Fix"):
            fixed[np.asarray(constraint.get_indices(), dtype=int)] = True
    return fixed
