"""Errors of a base model, or of a base model with an adapter, on frames."""

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from equisparse.backbones.base import Predictor
from equisparse.data.kept import structures_of
from equisparse.data.labels import LabelKeys, LabelUnits
from equisparse.data.summary import describe_labels, require_usable_labels
from equisparse.deploy.calculator import check_adapter, spin_model
from equisparse.inference import predict
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.errors import errors_of
from equisparse.inference.graphs import Budget
from equisparse.inference.structures import check_structures, warn_of_not_finite, warn_of_unfitted
from equisparse.inputs.adapters import AdapterLike, loaded_adapter
from equisparse.inputs.base import Base, LoadOptions, loaded_base
from equisparse.inputs.frames import Frames, demo_test_part, stream_loaded
from equisparse.inputs.spins import labelled_for
from equisparse.tasks.listener import Listener

if TYPE_CHECKING:
    from typing_extensions import Unpack

Errors: TypeAlias = dict[str, float | None]
"""Name of an error (`equisparse.quantities.shown_errors`) -> its value; None where no frame has the label."""


def evaluate(
    frames: Frames,
    base: Base = "7net-0",
    adapter: AdapterLike | None = None,
    *,
    keys: LabelKeys | None = None,
    units: LabelUnits | None = None,
    listener: Listener | None = None,
    **load_options: "Unpack[LoadOptions]",
) -> Errors:
    """Errors of a model on frames.

    Parameters
    ----------
    frames : files, globs, a packaged set, Atoms or labelled frames
        The name of a packaged set means its test part, because a model may have been trained on the other parts.
    base : str, Path or AbstractBackbone
        Base model; untouched afterwards.
    adapter : str, Path or Adapter, optional
        Adapter to apply, with its reference energies; without it, the errors are those of the base.
    keys, units
        Names and units of the labels.
    listener : Listener, optional
        Receives the counts and names of the labels; nothing is shown by default.
    **load_options
        How a base given by name is loaded; see `equisparse.inputs.base.LoadOptions`.

    Returns
    -------
    dict of str to float or None
        Name of the error, such as ``force_mae_mev_per_ang``, and its value; None where no frame has the label.

    Raises
    ------
    EquisparseError
        If a file cannot be read, no frame has a label, a label, a position or a cell is not finite, or an element or
        the adapter does not fit the base.

    Warns
    -----
    EquisparseWarning
        If the adapter has no fitted reference energy for an element of the frames, or a prediction is not finite; the
        errors are then those of the other frames.
    """
    change = None if adapter is None else loaded_adapter(adapter)
    backbone = loaded_base(base, load_options)
    if change is not None:
        check_adapter(backbone, change)
    spins = None if change is None else spin_model(backbone, change)
    names = replace(keys or LabelKeys(), magnetic=spins is not None)
    labelled = stream_loaded(demo_test_part(frames), names, units)
    (listener or Listener()).notice("labels", describe_labels(labelled))
    require_usable_labels(labelled)
    structures = structures_of(labelled)
    check_structures(backbone, structures)
    if spins is not None:
        labelled = labelled_for(spins.layer.options, labelled)
    model: Predictor = spins or backbone
    shifts = dict(change.shifts) if change else {}
    dataset = FrameDataset(model, labelled, shifts, Budget(0.0))  # every graph is used once
    with change.applied(backbone.model) if change else nullcontext():
        predicted = predict.evaluate(model, dataset)
    warn_of_unfitted(shifts, structures)
    warn_of_not_finite(predicted, structures)
    return errors_of(predicted, dataset)
