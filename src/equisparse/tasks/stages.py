"""Stages of a fine-tune: errors of a model on all splits, the audit, the reference energies, and the training."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from equisparse.adapters.adapter import Adapter, SpinPart, adapter_of, value_rounding
from equisparse.adapters.attach import Attachment, attach
from equisparse.adapters.file import save_adapter
from equisparse.backbones.base import AbstractBackbone, Predictor
from equisparse.blocks import Layout
from equisparse.data.audit.finding import Finding, has_errors
from equisparse.data.frames import Floats
from equisparse.data.kept import structures_of
from equisparse.data.split import FrameSplits
from equisparse.errors import DataError
from equisparse.files import make_folder
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.errors import Metrics as SplitErrors
from equisparse.inference.errors import errors_of
from equisparse.inference.structures import check_structures
from equisparse.magnetism.model import SpinModel
from equisparse.methods.base import AbstractMethod
from equisparse.quantities import Quantity
from equisparse.tasks.listener import Listener
from equisparse.tasks.shared_work import evaluate_shared
from equisparse.training.anchor import LayerRows
from equisparse.training.fit import FitResult, fit
from equisparse.training.group import Group
from equisparse.training.listener import FitListener
from equisparse.training.options import TrainingOptions
from equisparse.training.replay import Replay

Metrics = dict[str, SplitErrors]
"""Split -> name of the error -> value."""
_ALONE = Group()


@dataclass(frozen=True)
class Stage:
    """Predictions of one model on every split, and their errors."""

    predictions: dict[str, dict[Quantity, Floats]]
    metrics: Metrics


def evaluate_all(backbone: Predictor, datasets: Mapping[str, FrameDataset], group: Group = _ALONE) -> Stage:
    """Predictions and errors of the current weights on every split; the processes of a group share the frames."""
    return judged({name: evaluate_shared(backbone, dataset, group) for name, dataset in datasets.items()}, datasets)


def judged(predictions: dict[str, dict[Quantity, Floats]], datasets: Mapping[str, FrameDataset]) -> Stage:
    """Predictions with their errors against the labels, from which the shifts of the data sets are subtracted."""
    return Stage(predictions, {name: errors_of(predicted, datasets[name]) for name, predicted in predictions.items()})


def refuse_errors(findings: Sequence[Finding], listener: Listener, *, force: bool) -> None:
    """Report the findings and raise DataError if there are errors, unless `force` is set."""
    if force or not has_errors(findings):
        return
    listener.audited(findings, stopped=True)
    raise DataError(
        "The audit found errors in the data; nothing was trained.",
        next_step="correct them as the findings advise, or train anyway with --force",
    )


def check_trainable(splits: FrameSplits, backbone: AbstractBackbone, options: TrainingOptions, *, spins: bool) -> None:
    """Check what no option can overrule: that the base can predict all frames, and that there is something to learn.

    Raises
    ------
    BackboneError
        If the base does not know an element.
    DataError
        If a structure cannot be predicted, or no training frame has a label with a weight in the loss.
    """
    for frames in filter(None, (splits.train, splits.valid, splits.test)):
        check_structures(backbone, structures_of(frames))
    labels = {quantity for frame in splits.train for quantity in frame.labels}
    weights = {quantity.name: options.loss_weight(quantity, spins=spins) for quantity in labels}
    if not any(weights.values()):
        raise DataError(
            "There is nothing to learn: no training frame has a label with a weight in the loss.",
            given=", ".join(f"{name} with weight {weight:g}" for name, weight in weights.items()) or "no labels",
            expected="at least one kind of label with a weight above 0",
            next_step="name the labels, as with --forces-key, or set their weights, as with --force-weight",
        )


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
    start: Adapter | None = None,
    stage_adapters: Path | None = None,
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
    start : Adapter, optional
        Adapter whose change is the start of the training.
    stage_adapters : Path, optional
        Folder to which the adapters of the stages before the last one are written.
    """
    train = datasets["train"]
    elements = tuple(sorted({int(z) for frame in train.frames for z in frame.numbers}))
    changed = {} if start is None else start.weights(backbone.model)
    attachment = attach(backbone.model, method, layout, seed=options.seed)
    present = partial(_present_adapter, backbone, attachment, spins, train.shifts, elements)

    def keep_stage() -> None:
        if stage_adapters is not None:
            save_stage(present(), stage_adapters)

    try:
        attachment.begin_at(changed)
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
            stage_ended=keep_stage,
        )
        adapter = present()
        trained = attachment.trained_weights()
    finally:
        attachment.detach()
    adapter = replace(adapter, metrics={"value_rounding": value_rounding(adapter, backbone.model, trained)})
    return adapter, fitted


def _present_adapter(
    backbone: AbstractBackbone,
    attachment: Attachment,
    spins: SpinModel | None,
    shifts: Mapping[int, float],
    elements: tuple[int, ...],
) -> Adapter:
    """Adapter of the present state of a training, with the spin layer if there is one."""
    adapter = adapter_of(
        attachment,
        base=asdict(backbone.identity),
        dtype=backbone.dtype,
        shifts=shifts,
        elements=elements,
        modality=backbone.modality,
    )
    spin_part = None if spins is None else SpinPart(spins.layer.options.to_dict(), spins.layer.stored())
    return replace(adapter, spins=spin_part)


def save_stage(adapter: Adapter, folder: Path) -> None:
    """Write the adapter of a stage to a file with a name of its number of changed weights."""
    make_folder(folder)
    save_adapter(adapter, folder / f"changed-{adapter.stored_values}.safetensors")
