"""What a fine-tune starts from: its frames in three splits, and the method that was asked for."""

import json
from collections.abc import Sequence
from typing import Any

from ase import Atoms

from equisparse.backbones.base import AbstractBackbone, check_elements
from equisparse.blocks import Layout
from equisparse.config.finetune import FinetuneConfig
from equisparse.config.size import parse_size
from equisparse.data.demo import DEMOS, PARTS, is_demo
from equisparse.data.frames import LabelledFrame, unlabelled
from equisparse.data.read import read_frames
from equisparse.data.split import FrameSplits, split_off
from equisparse.errors import InputError
from equisparse.methods.base import AbstractMethod
from equisparse.methods.registry import make_method, method_for_size
from equisparse.methods.select import select
from equisparse.methods.sparse import Sparse
from equisparse.robustness.structures import probe_structures

PROBE = "probe"
"""Name in place of a file: the probe structures to learn from, which are made on the spot."""

_FILE_OVERHEAD = 1400
"""Bytes kept free for what a header says besides the layout: base, options, metrics, reference energies."""
_ENTRY_OVERHEAD = len('"/":{"dtype":"I32","shape":[123456],"data_offsets":[1234567,1234567]},')
"""Bytes of the file's directory for one stored tensor, without its name."""


def read_splits(config: FinetuneConfig) -> FrameSplits:
    """Read all frames that a configuration names; without `valid` a part of `train` is split off.

    Raises
    ------
    EquisparseError
        If frames cannot be read, or a packaged set, which has all three parts, is named together with other files.
    """
    train, valid, test = config.train, config.valid or [], config.test or []
    if demos := [name for name in train if name in DEMOS and is_demo(name)]:
        if [*train, *valid, *test] != demos[:1]:
            raise InputError(
                "A packaged set has its own parts and goes with no other files.",
                given=", ".join([*train, *valid, *test]),
                expected=f"{demos[0]} alone",
                next_step=f"name its parts where you want them, such as {demos[0]}:train",
            )
        train, valid, test = ([f"{demos[0]}:{part}"] for part in PARTS)
    frames, valid_frames, test_frames = (_read(files, config) for files in (train, valid, test))
    if not valid_frames:
        seed = config.seed if config.split_seed is None else config.split_seed
        rest, part = split_off(frames, config.valid_fraction, seed=seed)
        frames, valid_frames = [frames[i] for i in rest], [frames[i] for i in part]
    return FrameSplits(frames, valid_frames, test_frames)


def read_kept(
    config: FinetuneConfig, backbone: AbstractBackbone, train: Sequence[LabelledFrame]
) -> list[LabelledFrame]:
    """Structures to stay with the base on: those that a configuration names, or the package's own.

    Of the package's own those are left out that hold elements of the training frames alone: there the data may know
    better. Labels and spins in files are not used.

    Raises
    ------
    EquisparseError
        If a file cannot be read, or the base does not know an element.
    """
    names = config.replay or [PROBE]
    packaged = _unlike(probe_structures(backbone.elements, "learn"), train) if PROBE in names else []
    files = [name for name in names if name != PROBE]
    frames = unlabelled(packaged, PROBE) + (read_frames(files) if files else [])
    check_elements(backbone, [frame.atoms for frame in frames])
    for frame in frames:
        frame.atoms.set_initial_magnetic_moments(None)
    return frames


def _unlike(structures: Sequence[Atoms], frames: Sequence[LabelledFrame]) -> list[Atoms]:
    """Structures with an element that no frame has; all of them if there is none."""
    known = {int(z) for frame in frames for z in frame.atoms.numbers}
    return [atoms for atoms in structures if not known.issuperset(atoms.numbers)] or list(structures)


def small_pieces(frames: Sequence[LabelledFrame], count: int = 2, atoms: int = 16) -> list[Atoms]:
    """The first atoms of the smallest frames, for checks of a model that take little time and memory."""
    return [frame.atoms[:atoms] for frame in sorted(frames, key=lambda frame: frame.n_atoms)[:count]]


def choose_method(config: FinetuneConfig, layout: Layout) -> tuple[AbstractMethod, Layout]:
    """The method that a configuration asks for, and the layout of the tensors it may touch.

    Raises
    ------
    InputError
        If the wishes contradict one another or cannot be met.
    """
    options = dict(config.method_options or {})
    if config.budget is not None:
        return _fitted(parse_size(config.budget), config, options, layout)
    name = config.method or Sparse.name
    if config.changed is not None and name != Sparse.name:
        raise InputError(
            f"The method {name} cannot be given a changed fraction.",
            given=f"--changed {config.changed} --method {name}",
            next_step="use --method sparse, or leave --changed out",
        )
    if name == Sparse.name:
        options = {"regime": config.regime, "changed": config.changed, **options}
    method = make_method(name, options)
    selected = select(layout, config.targets or method.default_targets)
    return method.resolve(selected), selected


def _fitted(
    file_bytes: int, config: FinetuneConfig, options: dict[str, Any], layout: Layout
) -> tuple[AbstractMethod, Layout]:
    """The method asked for, or the best one, set up for a file of a stated size."""
    targets = config.targets or Sparse().default_targets
    selected = select(layout, targets)
    room = value_bytes(file_bytes, selected, Sparse.parts)
    method = make_method(config.method or method_for_size(room, selected), options)
    room = value_bytes(file_bytes, selected, method.parts)
    return method.fit_into(room, selected).resolve(selected), selected


def value_bytes(file_bytes: int, layout: Layout, parts: Sequence[str]) -> int:
    """Bytes left for values in an adapter file of `file_bytes` with the named parts of every tensor of `layout`.

    Raises
    ------
    InputError
        If nothing is left.
    """
    header = json.dumps(json.dumps(layout.to_dict(), separators=(",", ":")))  # quoted: JSON within safetensors' JSON
    directory = sum(len(name) + len(part) + _ENTRY_OVERHEAD for name in layout.tensors for part in parts)
    left = file_bytes - len(header) - directory - _FILE_OVERHEAD
    if left <= 0:
        raise InputError(
            "The adapter cannot be that small.",
            given=f"{file_bytes} bytes",
            expected=f"more than {file_bytes - left} bytes: what the names of the tensors take",
            next_step="raise --budget, or select fewer tensors with --targets",
        )
    return left


def _read(files: Sequence[str], config: FinetuneConfig) -> list[LabelledFrame]:
    """Frames of files; none for no files."""
    return read_frames(files, config.keys, config.units) if files else []
