"""Read labelled frames from any file that ASE reads."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from equisparse.data.choice import Contradiction, FrameLabels, read_labels, require_agreement
from equisparse.data.find import find_files
from equisparse.data.frames import LabelledFrame
from equisparse.data.images import iterate_images, read_images
from equisparse.data.kept import kept
from equisparse.data.labels import LabelKeys, LabelUnits, require_keys
from equisparse.data.lattice import image_steps
from equisparse.data.stored import Stored, stored_values
from equisparse.errors import DataError

IN_MEMORY = "memory"
"""Source of frames that were not read from a file."""

_FARTHEST = 1e8  # Angstrom
_CUTOFF = 6.0  # Angstrom
_MOST_IMAGES = 100_000


def read_frames(
    pattern: str | Path | Sequence[str | Path], keys: LabelKeys | None = None, units: LabelUnits | None = None
) -> list[LabelledFrame]:
    """Read all frames of some files, in the order given; files of a glob are sorted by name.

    Forces are taken as the code computed them: constraints do not set them to zero. Constrained atoms are recorded in
    `LabelledFrame.fixed`.

    Parameters
    ----------
    pattern : str, Path or sequence of these
        Files or globs: extxyz (also ``.gz``, ``.bz2``, ``.xz``), ASE db, aselmdb and traj, Parquet or a folder of it
        (see `equisparse.data.parquet`), VASP OUTCAR and vasprun.xml, and any other format that ASE reads. ``demo`` and
        ``demo-spin`` are all frames of a packaged set, ``demo:train``, ``demo:valid`` and ``demo:test`` its parts.
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
        If no file matches, a file is empty, truncated or unreadable, no frame has a named key, a label is not numeric
        or is stored twice with different values, or a frame has no atoms or a position that is not finite.
    MissingPackageError
        If a format needs a package that is not installed.
    """
    return list(_with_labels({path: iterate_images(path) for path in find_files(pattern)}, keys, units))


def stream_frames(
    pattern: str | Path | Sequence[str | Path], keys: LabelKeys | None = None, units: LabelUnits | None = None
) -> Sequence[LabelledFrame]:
    """Read all frames of some files as `read_frames` does, but keep many of them on the disk, not in memory.

    Parameters
    ----------
    pattern, keys, units
        As in `read_frames`.

    Returns
    -------
    sequence of LabelledFrame
        A list if the frames are few; see `equisparse.data.kept.kept`.

    Raises
    ------
    DataError, MissingPackageError
        As `read_frames`.
    WriteError
        If the disk is full.
    """
    return kept(_with_labels({path: iterate_images(path) for path in find_files(pattern)}, keys, units))


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
        If no structure has a named key, a label is not numeric or is stored twice with different values, or a
        structure has no atoms or a position that is not finite.
    """
    return list(_with_labels({source: images}, keys, units))


def read_structures(pattern: str | Path | Sequence[str | Path]) -> list[Atoms]:
    """Read all structures of some files, without their labels; see `read_frames`.

    Raises
    ------
    DataError, MissingPackageError
        As `read_frames`, but whatever labels the files have.
    """
    images = {path: read_images(path) for path in find_files(pattern)}
    return [
        bare_structure(atoms, f"{path}, frame {index}")
        for path, structures in images.items()
        for index, atoms in enumerate(structures)
    ]


def bare_structure(atoms: Atoms, location: str) -> Atoms:
    """Copy of a structure without calculator and constraints.

    Raises
    ------
    DataError
        If it has no atoms, or positions or a cell that are not finite; `location` names it in the message.
    """
    _require_structure(atoms, location)
    copy: Atoms = atoms.copy()
    copy.calc = None
    copy.set_constraint()
    return copy


def _with_labels(
    images: Mapping[str, Iterable[Atoms]], keys: LabelKeys | None, units: LabelUnits | None
) -> Iterator[LabelledFrame]:
    """Labelled frames of the structures of each source; the errors that need all frames are raised at the end."""
    reader = _Reader(keys or LabelKeys(), units or LabelUnits())
    for source, structures in images.items():
        for index, atoms in enumerate(structures):
            frame = reader.frame(atoms, source, index)
            if frame is not None:
                yield frame
    reader.check()


class _Reader:
    """Reader of labels that remembers the names in all frames, and the labels that contradict each other."""

    def __init__(self, keys: LabelKeys, units: LabelUnits) -> None:
        self._keys, self._units = keys, units
        self._names: set[str] = set()
        self._contradictions: dict[str, list[tuple[int, Contradiction]]] = {}
        self._error: DataError | None = None

    def frame(self, atoms: Atoms, source: str, index: int) -> LabelledFrame | None:
        """Labelled frame of a structure; None after an error that is raised in `check`."""
        stored = stored_values(atoms)
        self._names.update(stored)
        if self._error is not None:
            return None
        try:
            return self._labelled(atoms, stored, source, index)
        except DataError as error:
            if self._names.issuperset(self._keys.given().values()):
                raise
            self._error = error  # a key that occurs in no frame is the likelier cause
            return None

    def check(self) -> None:
        """Raise DataError if no frame has a given key, or labels are stored more than once and differ."""
        require_keys(self._keys, self._names)
        if self._error is not None:
            raise self._error
        for source, found in self._contradictions.items():
            require_agreement(source, found)

    def _labelled(self, atoms: Atoms, stored: Stored, source: str, index: int) -> LabelledFrame:
        """Labelled frame of a structure."""
        location = f"{source}, frame {index}"
        copy = bare_structure(atoms, location)
        read = _read(copy, stored, self._keys, self._units, location)
        if read.contradictions:
            self._contradictions.setdefault(source, []).extend((index, found) for found in read.contradictions)
        _take_labels(copy, read)
        return LabelledFrame(copy, read.labels, source, index, _fixed_atoms(atoms), read.names, read.weights)


def _read(atoms: Atoms, stored: Stored, keys: LabelKeys, units: LabelUnits, location: str) -> FrameLabels:
    """Labels of a structure, with its place in messages."""
    volume = float(abs(np.linalg.det(atoms.cell.array)))
    try:
        return read_labels(stored, keys, units, len(atoms), volume)
    except DataError as error:
        raise DataError(f"{location}: {error}") from error


def _require_structure(atoms: Atoms, location: str) -> None:
    """Raise DataError if a frame has no atoms, or positions or a cell that are not finite."""
    if not len(atoms):
        raise DataError(f"{location}: the frame has no atoms.", next_step="remove the frame")
    if not ((np.abs(atoms.positions) < _FARTHEST).all() and (np.abs(atoms.cell.array) < _FARTHEST).all()):
        raise DataError(
            f"{location}: positions or cell vectors are NaN or infinite, or beyond {_FARTHEST:g} Angstrom.",
            cause="a simulation that diverged, or a damaged file",
            next_step="remove the frame",
        )
    if np.prod(2 * image_steps(atoms, _CUTOFF) + 1) > _MOST_IMAGES:
        raise DataError(
            f"{location}: the cell is so thin that over {_MOST_IMAGES} images of it lie within {_CUTOFF:g} Angstrom.",
            given=f"lengths and angles {np.round(atoms.cell.cellpar(), 4).tolist()}",
            cause="cell vectors in another unit, nearly parallel vectors, or a damaged file",
            next_step="correct the cell, or remove the frame",
        )


def _take_labels(atoms: Atoms, read: FrameLabels) -> None:
    """Remove the labels from a structure, and set the input spins as its initial magnetic moments."""
    for name in read.stored:
        atoms.info.pop(name, None)
        atoms.arrays.pop(name, None)
    if read.spins is not None:
        atoms.set_initial_magnetic_moments(read.spins)


def _fixed_atoms(atoms: Atoms) -> NDArray[np.bool_]:
    """Mask of the atoms that any constraint fixes, wholly or in some direction."""
    fixed = np.zeros(len(atoms), dtype=np.bool_)
    for constraint in atoms.constraints:
        if hasattr(constraint, "get_indices") and type(constraint).__name__.startswith("Fix"):
            fixed[np.asarray(constraint.get_indices(), dtype=int)] = True
    return fixed
