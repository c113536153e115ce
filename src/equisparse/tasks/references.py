"""Fit the reference energies of a base model to frames."""

from typing import TYPE_CHECKING

from equisparse.data.audit import references
from equisparse.data.audit.context import FrameSet
from equisparse.data.labels import LabelKeys, LabelUnits
from equisparse.data.references import ReferenceFit
from equisparse.errors import DataError
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.predict import evaluate
from equisparse.inference.structures import check_structures
from equisparse.inputs.base import Base, LoadOptions, loaded_base
from equisparse.inputs.frames import Frames, load_frames
from equisparse.wording import counted

if TYPE_CHECKING:
    from typing_extensions import Unpack


def fit_references(
    frames: Frames,
    base: Base = "7net-0",
    *,
    keys: LabelKeys | None = None,
    units: LabelUnits | None = None,
    **load_options: "Unpack[LoadOptions]",
) -> ReferenceFit:
    """Fit the shifts of a base model's reference energies to labelled energies, as a fine-tune does before training.

    Parameters
    ----------
    frames : files, globs, a packaged set, Atoms or labelled frames
        Frames with energies; others are ignored. Frames that would spoil the fit are left out, see
        `equisparse.data.robust_fit`.
    base : str, Path or AbstractBackbone
        Base model; untouched.
    keys, units
        Names and units of the labels.
    **load_options
        How a base given by name is loaded; see `equisparse.inputs.base.LoadOptions`.

    Returns
    -------
    ReferenceFit
        Its `shifts` are a mapping of atomic number to eV, and its `left_out` names frames by reason.

    Raises
    ------
    EquisparseError
        If the frames or the base cannot be read, or no frame has an energy.
    """
    backbone = loaded_base(base, load_options)
    labelled = load_frames(frames, keys, units)
    if all(frame.energy is None for frame in labelled):
        raise DataError(
            "No frame has an energy.",
            given=counted(len(labelled), "frame"),
            next_step="name the key of the energies with keys=LabelKeys(energy=...)",
        )
    check_structures(backbone, [frame.atoms for frame in labelled])
    predicted = evaluate(backbone, FrameDataset(backbone, labelled, {}))
    data = FrameSet("train", labelled, set(backbone.elements), predicted)
    return references.fit_references(data, backbone.reference_slots, backbone.cutoff)
