"""Frames in memory, or on the disk if they are many."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
from ase import Atoms
from ase.cell import Cell
from numpy.typing import NDArray

from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.spool import Mapped, Spool
from equisparse.quantities import find_quantity

MOST_IN_MEMORY = 32 * 2**20
"""Approximate bytes of frames that are held in memory; more frames go to the disk."""

_OVERHEAD = 3000  # bytes of a frame in addition to its arrays


def kept(frames: Iterable[LabelledFrame], most: int = MOST_IN_MEMORY) -> Sequence[LabelledFrame]:
    """Keep frames: as a list, or, from about `most` bytes on, in a temporary file.

    Parameters
    ----------
    frames : iterable of LabelledFrame
        Read once.
    most : int
        Bytes.

    Raises
    ------
    WriteError
        If the file cannot be written.
    """
    source, first, size = iter(frames), [], 0
    for frame in source:
        first.append(frame)
        size += _bytes(frame)
        if size > most:
            return Spool(chain(_emptied(first), source), _stored, _restored)
    return first


def structures_of(frames: Sequence[LabelledFrame]) -> Sequence[Atoms]:
    """Structures of frames, which are read one by one if the frames are on the disk."""
    return Mapped(frames, _atoms)


def _atoms(frame: LabelledFrame) -> Atoms:
    """Structure of a frame."""
    return frame.atoms


def _emptied(frames: list[LabelledFrame]) -> Iterator[LabelledFrame]:
    """Frames of a list, which is emptied on the way."""
    frames.reverse()
    while frames:
        yield frames.pop()


def _bytes(frame: LabelledFrame) -> int:
    """Approximate size of a frame in memory."""
    arrays = [*frame.atoms.arrays.values(), *frame.labels.values()]
    return _OVERHEAD + sum(np.asarray(array).nbytes for array in arrays)


def _stored(frame: LabelledFrame) -> tuple[object, ...]:
    """Plain parts of a frame, which are pickled faster than objects."""
    atoms, fixed = frame.atoms, frame.fixed if frame.fixed.any() else None
    structure = (atoms.arrays, atoms.cell.array, atoms.pbc, atoms.info)
    labels = {quantity.name: values for quantity, values in frame.labels.items()}
    weights = {quantity.name: value for quantity, value in frame.weights.items()}
    return structure, labels, frame.source, frame.index, fixed, dict(frame.names), weights


def _restored(stored: Any) -> LabelledFrame:
    """Frame of its plain parts."""
    structure, labels, source, index, fixed, names, weights = stored
    return LabelledFrame(
        _structure(*structure),
        {find_quantity(name): values for name, values in labels.items()},
        source,
        index,
        np.zeros(0, dtype=np.bool_) if fixed is None else fixed,
        names,
        {find_quantity(name): value for name, value in weights.items()},
    )


def _structure(arrays: dict[str, NDArray[Any]], cell: Floats, pbc: NDArray[np.bool_], info: dict[str, object]) -> Atoms:
    """Structure of its arrays; the constructor of Atoms would copy and check all of them again."""
    atoms = Atoms(pbc=pbc, info=info)
    atoms.cell = Cell(cell)
    atoms.arrays = arrays
    return atoms
