"""Before the training of a fine-tune: frames, base, method, audit, reference energies, and the errors at the start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.accelerators import check_usable
from equisparse.backbones.base import AbstractBackbone, Predictor
from equisparse.blocks import Layout
from equisparse.config.finetune import FinetuneConfig
from equisparse.data.audit.context import FrameSet
from equisparse.data.audit.finding import Finding, sort_findings
from equisparse.data.audit.references import fit_references, reference_findings
from equisparse.data.audit.registry import audit_sets, frame_sets
from equisparse.data.references import ReferenceFit, given_references
from equisparse.data.split import FrameSplits
from equisparse.data.summary import describe_labels
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.graphs import Budget
from equisparse.inference.precision import check_precision
from equisparse.inputs.base import configured_base
from equisparse.inputs.method import method_for
from equisparse.inputs.spins import spin_setup
from equisparse.inputs.splits import read_kept, read_splits
from equisparse.inputs.start import available_layout, starting_adapter, with_spins_of
from equisparse.magnetism.model import SpinModel
from equisparse.methods.base import AbstractMethod
from equisparse.run.record import RunRecord
from equisparse.tasks.listener import Listener, Plan
from equisparse.tasks.resume import start_or_resume
from equisparse.tasks.speed import speed_up
from equisparse.tasks.stages import Stage, check_trainable, evaluate_all, judged, refuse_errors
from equisparse.training.checkpoints import check_resumable
from equisparse.training.group import Group
from equisparse.training.options import TrainingOptions


@dataclass(frozen=True)
class Setup:
    """Everything that a fine-tune starts from.

    Parameters
    ----------
    config : FinetuneConfig
    splits : Splits of LabelledFrame
        With the labels that the model can learn from.
    sets : mapping of str to FrameSet
        The same frames under audit.
    backbone : AbstractBackbone
    adapter : Adapter or None
        Adapter from which training starts; None if it starts from the base alone.
    method, layout
        The method, and the tensors that it may change.
    options : TrainingOptions
        Options with a number in place of every default.
    record : RunRecord
        What the training starts with.
    spins : SpinModel or None
        Untrained spin layer on the backbone.
    """

    config: FinetuneConfig
    splits: FrameSplits
    sets: Mapping[str, FrameSet]
    backbone: AbstractBackbone
    adapter: Adapter | None
    method: AbstractMethod
    layout: Layout
    options: TrainingOptions
    record: RunRecord
    spins: SpinModel | None

    @property
    def model(self) -> Predictor:
        """The model that is trained."""
        return self.spins or self.backbone


@dataclass(frozen=True)
class Start:
    """State before training: data sets, predictions of the base, errors, findings and reference energies.

    Parameters
    ----------
    datasets : mapping of str to FrameDataset
        Splits with the shifted reference energies.
    base : Stage
        Predictions and errors of the base.
    first : Stage
        Predictions and errors of the model that training starts from: the base with refitted reference energies, or
        with an adapter.
    findings : list of Finding
    references : ReferenceFit
    kept : FrameDataset
        Structures on which to preserve the base model's predictions.
    """

    datasets: dict[str, FrameDataset]
    base: Stage
    first: Stage
    findings: Sequence[Finding]
    references: ReferenceFit
    kept: FrameDataset


def set_up(config: FinetuneConfig, base: AbstractBackbone | None, folder: Path, listener: Listener) -> Setup:
    """Read frames, load the base, choose the method, and audit what needs no prediction."""
    adapter = starting_adapter(config)
    config = with_spins_of(config, adapter)
    splits = read_splits(config)
    if base is not None:
        base.check_untouched()
    backbone = configured_base(config) if base is None else base.copied()
    check_usable(backbone, config.accelerator)
    check_precision(config.precision, backbone.device, backbone.dtype)
    if config.resume:
        check_resumable(folder, backbone)
    if adapter is not None:
        adapter.check_base(vars(backbone.identity))
    method, layout = method_for(config, available_layout(backbone, adapter), splits.train)
    splits, options, record = start_or_resume(config, splits, backbone, method, layout, listener)
    sizes = {name: len(frames) for name, frames in splits.items()}
    listener.planned(Plan(config.base, backbone, sizes, method, options))
    for name, frames in splits.items():
        listener.notice("labels", f"{name}, {describe_labels(frames)}")
    elements = set(backbone.elements)
    sets = frame_sets(splits.train, splits.valid, splits.test, elements, spins=config.spin)
    refuse_errors(audit_sets(sets), listener, force=config.force)
    check_trainable(splits, backbone, options, spins=config.spin)
    speed_up(config, options, backbone, splits.train, listener)
    spins, splits = spin_setup(config, splits, backbone, listener.notice, None if adapter is None else adapter.spins)
    return Setup(config, splits, sets, backbone, adapter, method, layout, options, record, spins)


def measure_start(setup: Setup, listener: Listener, group: Group) -> Start:
    """Predict all frames with the base, audit the labels against it, and fit the reference energies."""
    config, splits, backbone = setup.config, setup.splits, setup.backbone
    budget = Budget(config.cache)
    unshifted = {name: FrameDataset(setup.model, frames, {}, budget) for name, frames in splits.items()}
    base = evaluate_all(setup.model, unshifted, group)
    sets = {name: setup.sets[name].with_base(base.predictions[name], frames) for name, frames in splits.items()}
    findings = audit_sets(sets)
    refuse_errors(findings, listener, force=config.force)
    references = _references(setup, sets["train"])
    if setup.adapter is None:
        findings = sort_findings([*findings, *reference_findings(sets, references)])
    if findings:
        listener.audited(findings, stopped=False)
    datasets = {name: dataset.with_shifts(references.shifts) for name, dataset in unshifted.items()}
    kept = FrameDataset(setup.model, read_kept(config, backbone, splits.train), {}, budget)
    return Start(datasets, base, _first(setup, base, datasets, group), findings, references, kept)


def _references(setup: Setup, train: FrameSet) -> ReferenceFit:
    """Shifts of the reference energies: those of the adapter that training starts from, or fitted to the frames."""
    if setup.adapter is not None:
        return given_references(setup.adapter.shifts)
    return fit_references(train, setup.backbone.reference_slots, setup.backbone.cutoff)


def _first(setup: Setup, base: Stage, datasets: Mapping[str, FrameDataset], group: Group) -> Stage:
    """Predictions and errors of the model that training starts from."""
    if setup.adapter is None:
        return judged(base.predictions, datasets)
    if setup.spins is not None and setup.adapter.spins is not None:
        setup.spins.restore(setup.adapter.spins.options, setup.adapter.spins.tensors)
    with setup.adapter.applied(setup.backbone.model):
        return evaluate_all(setup.model, datasets, group)
