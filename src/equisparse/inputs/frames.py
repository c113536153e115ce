"""Frames of a user (files, globs, structures in memory) as labelled frames, and labelled frames as a file."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import ase.io
import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from equisparse.data.demo import DEMOS, is_demo
from equisparse.data.frames import LabelledFrame
from equisparse.data.labels import SPIN_NAMES, LabelKeys, LabelUnits
from equisparse.data.read import IN_MEMORY, bare_structure, label_frames, read_frames, read_structures, stream_frames
from equisparse.data.weights import weight_kind
from equisparse.errors import InputError
from equisparse.files import make_folder, write_text
from equisparse.quantities import all_quantities

Frames: TypeAlias = (
    str | Path | Atoms | LabelledFrame | Sequence[str | Path] | Sequence[Atoms] | Sequence[LabelledFrame]
)
"""Frames as a user gives them: one or more files, globs or names of packaged sets, or structures in memory."""


def load_frames(frames: Frames, keys: LabelKeys | None = None, units: LabelUnits | None = None) -> list[LabelledFrame]:
    """Convert files, globs or structures to labelled frames.

    Parameters
    ----------
    frames : str, Path, Atoms, LabelledFrame or sequence of one of these
        Files, globs and packaged sets are read by `equisparse.read_frames`. Labels of `Atoms` are found as in a file.
        Labelled frames are returned as they are.
    keys, units
        Names and units of the labels; not used for labelled frames.

    Raises
    ------
    DataError
        If a file or a label cannot be read.
    InputError
        If there are no frames, or frames of different kinds.
    """
    items = list(frames) if isinstance(frames, Sequence) and not isinstance(frames, str) else [frames]
    labelled = [item for item in items if isinstance(item, LabelledFrame)]
    structures = [item for item in items if isinstance(item, Atoms)]
    files = [item for item in items if isinstance(item, (str, Path))]
    if files and len(files) == len(items):
        return read_frames(files, keys, units)
    if structures and len(structures) == len(items):
        return label_frames(structures, keys, units)
    if labelled and len(labelled) == len(items):
        return labelled
    raise InputError(
        "Frames are missing or of different kinds.",
        given=", ".join(sorted({type(item).__name__ for item in items})) or "an empty sequence",
        expected="files or globs, or ase.Atoms, or LabelledFrame, at least one",
    )


def stream_loaded(
    frames: Frames, keys: LabelKeys | None = None, units: LabelUnits | None = None
) -> Sequence[LabelledFrame]:
    """Labelled frames as `load_frames` gives them; many frames of files stay on the disk.

    Raises
    ------
    DataError, InputError
        As `load_frames`.
    """
    names = file_names(frames)
    return load_frames(frames, keys, units) if names is None else stream_frames(names, keys, units)


def load_structures(frames: Frames) -> list[Atoms]:
    """Convert files, globs, structures or labelled frames to structures; labels are not read.

    Raises
    ------
    DataError
        If a file cannot be read.
    InputError
        If there are no frames, or frames of different kinds.
    """
    names = file_names(frames)
    if names is not None:
        return read_structures(names)
    items = list(frames) if isinstance(frames, Sequence) and not isinstance(frames, str) else [frames]
    structures = [item for item in items if isinstance(item, Atoms)]
    if structures and len(structures) == len(items):
        return [bare_structure(atoms, f"{IN_MEMORY}, frame {index}") for index, atoms in enumerate(structures)]
    return [frame.atoms for frame in load_frames(frames)]


def file_names(frames: Frames) -> list[str] | None:
    """Names of frames that are all given as files, globs or packaged sets; None for frames in memory."""
    items = list(frames) if isinstance(frames, Sequence) and not isinstance(frames, str) else [frames]
    names = [str(item) for item in items if isinstance(item, (str, Path))]
    return names if names and len(names) == len(items) else None


def demo_test_part(frames: Frames) -> Frames:
    """The same frames, with the name of a packaged set replaced by that of its test part."""
    names = file_names(frames)
    if names is None:
        return frames
    return [f"{name}:test" if name in DEMOS and is_demo(name) else name for name in names]


def write_frames(path: Path, frames: Sequence[LabelledFrame]) -> Path:
    """Write labelled frames as extended XYZ, to be read by `equisparse.read_frames` with its default keys and units.

    Labels are ``REF_energy`` (eV), ``REF_forces`` (eV/Angstrom), ``REF_stress`` (eV/Angstrom^3), ``REF_magmoms`` (muB)
    and ``REF_magnetic_forces`` (eV/muB); input spins are ``initial_magmoms``. Weights in the loss are
    ``config_energy_weight`` and so on. Fixed atoms stay fixed. Text, numbers and booleans in `info` are kept. Positions
    and forces are written with eight decimals.
    """
    text = io.StringIO()
    ase.io.write(text, [_with_labels(frame) for frame in frames], format="extxyz")
    make_folder(path.parent)
    write_text(path, text.getvalue())
    return path


def write_unlabelled(path: Path, structures: Sequence[Atoms]) -> Path:
    """Write structures as extended XYZ, ready for DFT: species, positions, cell, input spins and `info`; no labels."""
    bare = []
    for source in structures:
        atoms = Atoms(source.numbers, source.positions, cell=source.cell, pbc=source.pbc, info=dict(source.info))
        if source.has("initial_magmoms"):
            atoms.set_initial_magnetic_moments(source.get_initial_magnetic_moments())
        bare.append(atoms)
    text = io.StringIO()
    ase.io.write(text, bare, format="extxyz")
    make_folder(path.parent)
    write_text(path, text.getvalue())
    return path


def _with_labels(frame: LabelledFrame) -> Atoms:
    """Copy of the structure of a frame that carries its labels under their usual names."""
    atoms: Atoms = frame.atoms.copy()
    usual = {name for quantity in all_quantities() for name in quantity.label_keys} | set(SPIN_NAMES)
    atoms.info = {
        name: value
        for name, value in atoms.info.items()
        if not (name in usual or weight_kind(name)) and isinstance(value, (str, int, float, bool, np.number, np.bool_))
    }
    for name in usual & set(atoms.arrays):
        del atoms.arrays[name]
    for quantity, label in frame.labels.items():
        store: dict[str, Any] = atoms.info if quantity.per == "frame" else atoms.arrays
        store[quantity.label_keys[0]] = np.asarray(label) if quantity.shape else float(label)
    atoms.info |= {f"config_{quantity.name}_weight": weight for quantity, weight in frame.weights.items()}
    if frame.spins is not None:
        atoms.arrays["initial_magmoms"] = np.asarray(frame.spins)
    if frame.fixed.any():
        atoms.set_constraint(FixAtoms(mask=frame.fixed))
    return atoms
