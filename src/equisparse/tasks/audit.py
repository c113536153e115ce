"""Audit frames before any training."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from equisparse.backbones.base import AbstractBackbone
from equisparse.data.audit import registry
from equisparse.data.audit.context import FrameSet
from equisparse.data.audit.finding import Finding, sort_findings
from equisparse.data.audit.references import fit_references, reference_findings
from equisparse.data.finite import check_finite
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.kept import structures_of
from equisparse.data.labels import LabelKeys, LabelUnits
from equisparse.data.lattice import lacks_lattice
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.graphs import Budget
from equisparse.inference.predict import evaluate
from equisparse.inputs.base import Base, LoadOptions, loaded_base
from equisparse.inputs.frames import Frames, stream_loaded
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
        Base model. Its predictions are compared with the labels if it knows all elements and no frame lacks a cell.
    valid, test : as frames, optional
        Validation and test frames, with the same checks; they are also searched for near duplicates of the training
        frames.
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
    train = stream_loaded(frames, names, units)
    valid_frames, test_frames = (None if part is None else stream_loaded(part, names, units) for part in (valid, test))
    backbone = None if base is None else loaded_base(base, load_options)
    elements = None if backbone is None else set(backbone.elements)
    sets = registry.frame_sets(train, valid_frames, test_frames, elements)
    if backbone is None or not _predictable(sets.values(), backbone):
        return registry.audit_sets(sets)
    sets = {name: data.with_base(_prediction(backbone, data.frames)) for name, data in sets.items()}
    fit = fit_references(sets["train"], backbone.reference_slots, backbone.cutoff)
    return sort_findings([*registry.audit_sets(sets), *reference_findings(sets, fit)])


def _predictable(sets: Iterable[FrameSet], backbone: AbstractBackbone) -> bool:
    """Return whether the base knows all elements of the sets, and every periodic direction has a cell vector."""
    return all(
        backbone.elements.issuperset(data.composition[1])
        and not any(lacks_lattice(frame.atoms) for frame in data.frames)
        for data in sets
    )


def _prediction(backbone: AbstractBackbone, frames: Sequence[LabelledFrame]) -> dict[Quantity, Floats]:
    """Predictions of the base."""
    check_finite(structures_of(frames))
    return evaluate(backbone, FrameDataset(backbone, frames, {}, Budget(0.0)))  # every graph is used once
