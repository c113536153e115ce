"""Audit frames before any training."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from equisparse.backbones.base import AbstractBackbone
from equisparse.data.audit import registry
from equisparse.data.audit.finding import Finding
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.labels import LabelKeys, LabelUnits
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.predict import evaluate
from equisparse.inputs.base import Base, LoadOptions, loaded_base
from equisparse.inputs.frames import Frames, load_frames
from equisparse.quantities import Quantity

if TYPE_CHECKING:
    from typing_extensions import Unpack


def audit(
    frames: Frames,
    base: Base | None = None,
    *,
    valid: Frames | None = None,
    test: Frames | None = None,
    keys: LabelKeys | None = None,
    units: LabelUnits | None = None,
    **load_options: "Unpack[LoadOptions]",
) -> list[Finding]:
    """Check frames and labels for errors that would spoil a fine-tune.

    Parameters
    ----------
    frames : files, globs, a packaged set, Atoms or labelled frames
        Training frames.
    base : str, Path or AbstractBackbone, optional
        Base model. If it knows all elements, its predictions are compared with the labels.
    valid, test : as `frames`, optional
        Validation and test frames, which are also searched for near duplicates of the training frames.
    keys, units
        Names and units of the labels. Magnetic labels are always read.
    **load_options
        How a base given by name is loaded; see `equisparse.inputs.base.LoadOptions`.

    Returns
    -------
    list of Finding
        Errors first, then warnings, then notes.

    Raises
    ------
    EquisparseError
        If the frames or the base cannot be read.
    """
    names = replace(keys or LabelKeys(), magnetic=True)
    train = load_frames(frames, names, units)
    valid_frames, test_frames = (None if part is None else load_frames(part, names, units) for part in (valid, test))
    backbone = None if base is None else loaded_base(base, load_options)
    elements = None if backbone is None else set(backbone.elements)
    prediction = None if backbone is None else _prediction(backbone, train)
    return registry.audit(train, valid_frames, test_frames, elements=elements, base=prediction)


def _prediction(backbone: AbstractBackbone, frames: Sequence[LabelledFrame]) -> dict[Quantity, Floats] | None:
    """Predictions of the base; None if it does not know all elements."""
    if not all(set(frame.atoms.numbers.tolist()) <= backbone.elements for frame in frames):
        return None
    return evaluate(backbone, FrameDataset(backbone, frames, {}))
