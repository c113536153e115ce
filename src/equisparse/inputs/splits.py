"""Frames of a fine-tune: three splits, and the structures on which to preserve the base model's predictions."""

from collections.abc import Sequence
from itertools import islice

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.elements import check_elements
from equisparse.config.finetune import FinetuneConfig
from equisparse.data.demo import DEMOS, PARTS, is_demo
from equisparse.data.frames import LabelledFrame, unlabelled
from equisparse.data.kept import structures_of
from equisparse.data.read import read_structures, stream_frames
from equisparse.data.split import FrameSplits, split_off
from equisparse.data.spool import selected
from equisparse.errors import InputError
from equisparse.robustness.structures import probe_structures

PROBE = "probe"
"""Name in place of a file: the packaged structures for replay."""
_MOST_NEIGHBOURS = 400
"""Largest number of neighbours in a piece of a frame, on which a model is checked."""


def read_splits(config: FinetuneConfig) -> FrameSplits:
    """Read all frames that a configuration names; without `valid`, a part of `train` is split off.

    Raises
    ------
    EquisparseError
        If frames cannot be read, or a whole packaged set is named together with other files.
    """
    train, valid, test = config.train, config.valid or [], config.test or []
    if demos := [name for name in train if name in DEMOS and is_demo(name)]:
        if [*train, *valid, *test] != demos[:1]:
            raise InputError(
                "A packaged set has its own splits and cannot be combined with other files.",
                given=", ".join([*train, *valid, *test]),
                expected=f"{demos[0]} alone",
                next_step=f"name single parts of the set, such as {demos[0]}:train",
            )
        train, valid, test = ([f"{demos[0]}:{part}"] for part in PARTS)
    frames, valid_frames, test_frames = (_read(files, config) for files in (train, valid, test))
    if not valid_frames:
        seed = config.seed if config.split_seed is None else config.split_seed
        rest, part = split_off(frames, config.valid_fraction, seed=seed)
        frames, valid_frames = selected(frames, rest), selected(frames, part)
    return FrameSplits(frames, valid_frames, test_frames)


def read_kept(
    config: FinetuneConfig, backbone: AbstractBackbone, train: Sequence[LabelledFrame]
) -> list[LabelledFrame]:
    """Structures on which to preserve the base model's predictions: those of a configuration, or the packaged ones.

    Packaged structures whose elements all occur in the training frames are left out, because the training frames may be
    more accurate than the base there. Labels and spins in files are not used.

    Raises
    ------
    EquisparseError
        If a file cannot be read, or the base does not know an element.
    """
    names = config.replay or [PROBE]
    packaged = _unlike(probe_structures(backbone.elements, "learn"), train) if PROBE in names else []
    files = [name for name in names if name != PROBE]
    frames = unlabelled(packaged, PROBE) + (unlabelled(read_structures(files), "replay") if files else [])
    check_elements(backbone, structures_of(frames))
    for frame in frames:
        frame.atoms.set_initial_magnetic_moments(None)
    return frames


def _unlike(structures: Sequence[Atoms], frames: Sequence[LabelledFrame]) -> list[Atoms]:
    """Structures with an element that no frame has; all structures if there are none."""
    known = {int(z) for frame in frames for z in frame.atoms.numbers}
    return [atoms for atoms in structures if not known.issuperset(atoms.numbers)] or list(structures)


def small_pieces(frames: Sequence[LabelledFrame], cutoff: float, count: int = 2, atoms: int = 16) -> list[Atoms]:
    """Some atoms of the smallest frames in which atoms have neighbours within `cutoff`, for fast checks of a model.

    They are the first atoms, or fewer in a dense crystal: a check takes as long as there are neighbours.
    """
    order = np.argsort([frame.n_atoms for frame in frames], kind="stable").tolist()
    pieces = (_thinned(frames[index].atoms[:atoms], cutoff) for index in order)
    return list(islice((piece for piece in pieces if piece is not None), count))


def _thinned(piece: Atoms, cutoff: float) -> Atoms | None:
    """Half of the atoms, evenly spaced in their order, while there are too many neighbours; None if there are none."""
    neighbours = _n_neighbours(piece, cutoff)
    if not neighbours:
        return None
    while neighbours > _MOST_NEIGHBOURS and len(piece) > 1:
        half = piece[np.linspace(0, len(piece) - 1, len(piece) // 2).round().astype(int)]
        fewer = _n_neighbours(half, cutoff)
        if not fewer:
            break
        piece, neighbours = half, fewer
    return piece


def _n_neighbours(piece: Atoms, cutoff: float) -> int:
    """Number of neighbours of all atoms together."""
    return len(neighbor_list("i", piece, cutoff))


def _read(files: Sequence[str], config: FinetuneConfig) -> Sequence[LabelledFrame]:
    """Read the frames of files, of which many stay on the disk; an empty list without files."""
    return stream_frames(files, config.keys, config.units) if files else []
