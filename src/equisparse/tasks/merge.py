"""Merge an adapter into a native checkpoint of the upstream."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ase.data import chemical_symbols

from equisparse.adapters.adapter import SPINS_STAY, Adapter
from equisparse.deploy.merge import MergeCheck, write_merged
from equisparse.files import make_folder
from equisparse.inference.structures import check_structures
from equisparse.inputs.adapters import AdapterLike, loaded_adapter
from equisparse.inputs.base import Base, LoadOptions, loaded_base
from equisparse.inputs.frames import Frames, load_structures

if TYPE_CHECKING:
    from typing_extensions import Unpack

_COMPARED_FRAMES = 5


@dataclass(frozen=True)
class Merged:
    """A native checkpoint of a base with an adapter.

    Parameters
    ----------
    path : Path
    check : MergeCheck
        Largest differences between the file in the upstream's calculator and the adapted model.
    left_out : str or None
        Part of the adapter that the file cannot store, as a sentence.
    notes : str
        How to run the file elsewhere, as lines of text.
    """

    path: Path
    check: MergeCheck
    left_out: str | None
    notes: str


def merge(
    base: Base,
    adapter: AdapterLike,
    out: str | Path,
    *,
    frames: Frames = "demo:valid",
    shifts: bool = True,
    **load_options: "Unpack[LoadOptions]",
) -> Merged:
    """Write a native checkpoint of a base with an adapter, and compare its predictions with the adapted model.

    Parameters
    ----------
    base : str, Path or AbstractBackbone
        Base model; untouched afterwards.
    adapter : str, Path or Adapter
    out : str or Path
        File to write; it gets this name after it was checked. The suffix of the upstream's files is added if it is
        missing.
    frames : files, globs, a packaged set, Atoms or labelled frames
        Structures on which the predictions are compared; the first five are used.
    shifts : bool
        Whether the file contains the fitted reference energies. Without them its energies are on the scale of the
        base, and `equisparse.ShiftedCalculator` adds them to the upstream's calculator.
    **load_options
        How a base given by name is loaded; see `equisparse.inputs.base.LoadOptions`.

    Raises
    ------
    PrecisionError
        If the file cannot hold the reference energies to 1 meV per atom; ``shifts=False`` leaves them out.
    EquisparseError
        If the adapter does not belong to this base or cannot be merged, or the predictions of the file differ from
        those of the adapted model.
    """
    change = loaded_adapter(adapter)
    change.check_mergeable()
    backbone = loaded_base(base, load_options)
    structures = load_structures(frames)[:_COMPARED_FRAMES]
    check_structures(backbone, structures)
    path = _with_suffix(Path(out), backbone.native_suffix)
    make_folder(path.parent)
    check = write_merged(backbone, change, path, structures, shifts=shifts)
    return Merged(path, check, _left_out(change, shifts), backbone.deployment_notes(path))


def _with_suffix(path: Path, suffix: str) -> Path:
    """Path that ends with the suffix of the upstream's files, by which programs recognise them."""
    return path if path.name.endswith(suffix) else path.with_name(path.name + suffix)


def _left_out(adapter: Adapter, shifts: bool) -> str | None:
    """Parts of an adapter that its merged file does not contain, as a sentence; None if it contains all."""
    energies = ", ".join(f"{chemical_symbols[z]} {value:+.6f}" for z, value in sorted(adapter.shifts.items()))
    missing = [] if adapter.spins is None else [SPINS_STAY]
    if not shifts:
        missing.append(f"the fitted reference energies ({energies} eV); equisparse.ShiftedCalculator adds them")
    return "; ".join(missing) or None
