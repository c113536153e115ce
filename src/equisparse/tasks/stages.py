"""Stages of a fine-tune: errors of a model on all splits, the audit, the reference energies, and the training."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from equisparse.adapters.adapter import Adapter, SpinPart, adapter_of, value_rounding
from equisparse.adapters.attach import attach
from equisparse.backbones.base import AbstractBackbone, Predictor
from equisparse.blocks import Layout
from equisparse.data.audit.finding import Finding, has_errors
from equisparse.data.audit.registry import audit
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.references import ReferenceFit, composition_matrix, fit_reference_shifts
from equisparse.data.split import FrameSplits
from equisparse.errors import DataError
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.errors import Metrics as SplitErrors
from equisparse.inference.errors import errors_of
from equisparse.inference.predict import evaluate
from equisparse.magnetism.model import SpinModel
from equisparse.methods.base import AbstractMethod
from equisparse.quantities import ENERGY, Quantity
from equisparse.tasks.listener import Listener
from equisparse.training.anchor import LayerRows
from equisparse.training.fit import FitResult, fit
from equisparse.training.listener import FitListener
from equisparse.training.options import TrainingOptions
from equisparse.training.replay import Replay

Metrics = dict[str, SplitErrors]
"""Split -> name of the error -> value."""


@dataclass(frozen=True)
class Stage:
    """Predictions of one model on every split, and their errors."""

    predictions: dict[str, dict[Quantity, Floats]]
    metrics: Metrics


def evaluate_all(backbone: Predictor, datasets: Mapping[str, FrameDataset]) -> Stage:
    """Predictions and errors of the current weights on every split."""
    return judged({name: evaluate(backbone, dataset) for name, dataset in datasets.items()}, datasets)


def judged(predictions: dict[str, dict[Quantity, Floats]], datasets: Mapping[str, FrameDataset]) -> Stage:
    """Predictions with their errors against the labels, from which the shifts of the data sets are subtracted."""
    return Stage(predictions, {name: errors_of(predicted, datasets[name]) for name, predicted in predictions.items()})


def check_frames(
    splits: FrameSplits,
    base: Mapping[Quantity, Floats] | None,
    backbone: AbstractBackbone,
    listener: Listener,
    *,
    force: bool,
    spins: bool,
) -> list[Finding]:
    """Audit the frames, report the findings, and stop on errors.

    Without predictions of the base (`base`), only checks that need no model run, and only errors are reported.
    `spins` says whether the model has a spin layer.

    Returns
    -------
    list of Finding

    Raises
    ------
    DataError
        If there are errors, unless `force` is set.
    """
    elements = set(backbone.elements)
    findings = audit(splits.train, splits.valid, splits.test, elements=elements, base=base, spins=spins)
    fatal = has_errors(findings) and not force
    if findings and (fatal or base is not None):
        listener.audited(findings, stopped=fatal)
    if fatal:
        raise DataError(
            "The audit found errors in the data; nothing was trained.",
            next_step="correct them as the findings advise, or train anyway with --force",
        )
    return findings


def references_from(
    backbone: AbstractBackbone, frames: Sequence[LabelledFrame], base: Mapping[Quantity, Floats]
) -> ReferenceFit:
    """Fit shifts of the reference energies to the differences of labelled energies and predictions of the base.

    Elements that share one reference energy in the base get one common shift.
    """
    labelled = [index for index, frame in enumerate(frames) if frame.energy is not None]
    counts, elements = composition_matrix([frames[index] for index in labelled])
    slot_of = backbone.reference_slots
    slots = sorted({slot_of[z] for z in elements})
    members = np.array([[slot_of[z] == slot for slot in slots] for z in elements], dtype=float)
    residuals = np.array([frames[index].energy for index in labelled], dtype=float) - base[ENERGY][labelled]
    first_of = {slot_of[z]: z for z in reversed(elements)}
    fitted = fit_reference_shifts(counts @ members, residuals, [first_of[slot] for slot in slots])
    return replace(fitted, shifts={z: fitted.shifts[first_of[slot_of[z]]] for z in elements})


def train_adapter(
    backbone: AbstractBackbone,
    method: AbstractMethod,
    layout: Layout,
    datasets: Mapping[str, FrameDataset],
    options: TrainingOptions,
    folder: Path,
    *,
    spins: SpinModel | None = None,
    replay: Replay | None = None,
    layers: Mapping[str, LayerRows] | None = None,
    resume: bool = False,
    listener: FitListener | None = None,
) -> tuple[Adapter, FitResult]:
    """Attach a method, train it, and detach it again.

    Parameters
    ----------
    backbone : AbstractBackbone
        The base; untouched afterwards, also after an error.
    method, layout
        From `equisparse.methods.choose.choose_method`.
    datasets : mapping of str to FrameDataset
        ``train`` and ``valid``, both with the shifts of the reference energies, which the adapter gets.
    options : TrainingOptions
        Options with a number in place of every default.
    spins : SpinModel, optional
        A spin layer on `backbone`, which is trained with the method and stays trained.
    folder, replay, layers, resume, listener
        As in `equisparse.training.fit.fit`.
    """
    train = datasets["train"]
    attachment = attach(backbone.model, method, layout, seed=options.seed)
    try:
        fitted = fit(
            spins or backbone,
            attachment,
            train,
            datasets["valid"],
            options,
            folder,
            replay=replay,
            layers=layers,
            resume=resume,
            listener=listener,
        )
        adapter = adapter_of(
            attachment,
            base=asdict(backbone.identity),
            dtype=backbone.dtype,
            shifts=train.shifts,
            elements=tuple(sorted(train.shifts)),
            modality=backbone.modality,
        )
        trained = attachment.trained_weights()
    finally:
        attachment.detach()
    adapter = replace(adapter, metrics={"value_rounding": value_rounding(adapter, backbone.model, trained)})
    if spins is not None:
        adapter = replace(adapter, spins=SpinPart(spins.layer.options.to_dict(), spins.layer.stored()))
    return adapter, fitted
