"""Merge an adapter into a native checkpoint of the upstream."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from equisparse.adapters.adapter import SPINS_STAY
from equisparse.backbones.base import check_elements
from equisparse.deploy.merge import MergeCheck, write_merged
from equisparse.files import make_folder
from equisparse.inputs.adapters import AdapterLike, loaded_adapter
from equisparse.inputs.base import Base, LoadOptions, loaded_base
from equisparse.inputs.frames import Frames, load_frames

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
    **load_options: "Unpack[LoadOptions]",
) -> Merged:
    """Write a native checkpoint of a base with an adapter, and compare its predictions with the adapted model.

    Parameters
    ----------
    base : str, Path or AbstractBackbone
        Base model; untouched afterwards.
    adapter : str, Path or Adapter
    out : str or Path
        File to write; it gets this name after it was checked.
    frames : files, globs, a packaged set, Atoms or labelled frames
        Structures on which the predictions are compared; the first five are used.
    **load_options
        How a base given by name is loaded; see `equisparse.inputs.base.LoadOptions`.

    Raises
    ------
    EquisparseError
        If the adapter does not belong to this base or cannot be merged, or the predictions of the file differ from
        those of the adapted model.
    """
    change, path = loaded_adapter(adapter), Path(out)
    change.check_mergeable()
    backbone = loaded_base(base, load_options)
    structures = [frame.atoms for frame in load_frames(frames)[:_COMPARED_FRAMES]]
    check_elements(backbone, structures)
    make_folder(path.parent)
    check = write_merged(backbone, change, path, structures)
    return Merged(path, check, None if change.spins is None else SPINS_STAY, backbone.deployment_notes(path))
