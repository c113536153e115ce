"""Fine-tune a base model: from frames to the files of a run, in the order in which it happens."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone, Predictor
from equisparse.blocks import Layout
from equisparse.config.finetune import FinetuneConfig
from equisparse.config.keywords import FinetuneOptions, shows_options
from equisparse.data.audit.context import FrameSet
from equisparse.data.audit.finding import Finding, sort_findings
from equisparse.data.audit.references import fit_references, reference_findings
from equisparse.data.audit.registry import audit_sets, frame_sets
from equisparse.data.references import ReferenceFit
from equisparse.data.split import FrameSplits
from equisparse.data.summary import describe_labels
from equisparse.files import locked, write_text
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.predict import evaluate
from equisparse.inference.structures import warn_of_not_finite
from equisparse.inputs.arguments import configuration, store_frames
from equisparse.inputs.base import Base, configured_base
from equisparse.inputs.frames import Frames
from equisparse.inputs.method import configured_method
from equisparse.inputs.spins import spin_setup
from equisparse.inputs.splits import read_kept, read_splits, small_pieces
from equisparse.magnetism.model import SpinModel
from equisparse.methods.base import AbstractMethod
from equisparse.report.html.document import write_report
from equisparse.report.paper.export import write_figures
from equisparse.robustness.retention import retention
from equisparse.run.files import RunFolder
from equisparse.run.folder import Run
from equisparse.run.record import RunRecord, write_record
from equisparse.run.write import Outcome, write_run
from equisparse.tasks.listener import Listener, Plan
from equisparse.tasks.resume import prepare_folder, start_or_resume
from equisparse.tasks.sparsity import evaluate_stages
from equisparse.tasks.stages import Stage, check_trainable, evaluate_all, judged, refuse_errors, train_adapter
from equisparse.training.anchor import LayerRows, layer_rows
from equisparse.training.checkpoints import check_resumable
from equisparse.training.fit import FitResult
from equisparse.training.options import TrainingOptions
from equisparse.training.processes import process_rank
from equisparse.training.replay import Replay, replay_of

if TYPE_CHECKING:
    from typing_extensions import Unpack


@shows_options
def finetune(
    train: Frames,
    *,
    valid: Frames | None = None,
    test: Frames | None = None,
    replay: Frames | None = None,
    base: Base = "7net-0",
    method: str | AbstractMethod | None = None,
    out: str | Path = "equisparse-run",
    listener: Listener | None = None,
    report: bool = True,
    **options: "Unpack[FinetuneOptions]",
) -> Run:
    """Fine-tune a base model on frames.

    Frames in memory are written to the folder of the run, and a method given as an object becomes its name and options,
    so that ``config.yaml`` describes the run completely.

    Parameters
    ----------
    train : files, globs, a packaged set, Atoms or labelled frames
        Training frames.
    valid : as `train`, optional
        Validation frames, by which the best epoch is chosen; by default a part of the training frames.
    test : as `train`, optional
        Test frames, used for the final errors only.
    replay : as `train`, optional
        Structures on which to preserve the base model's predictions; ``probe`` stands for the packaged ones.
    base : str, Path or AbstractBackbone
        Base model; a loaded one is untouched afterwards.
    method : str or AbstractMethod, optional
        Name of the method, or the method itself, such as ``equisparse.LowRank(rank=4)``.
    out : str or Path
        Folder of the results.
    listener : Listener, optional
        Receives progress and findings; nothing is shown by default.
    report : bool
        If False, no merged checkpoint, retention, interpretation, figures and report are made; a short fine-tune is
        then several times faster.
    **options
        The other fields of `equisparse.FinetuneConfig`, such as ``changed=0.03``, ``epochs=20``, ``device="cuda"``.

    Returns
    -------
    Run
        The finished run, with `metrics`, `adapter`, `calculator()` and all tables.

    Raises
    ------
    EquisparseError
        If an input cannot be used. It is raised before training starts, and no file is lost.
    """
    parts = {"train": train, "valid": valid, "test": test, "replay": replay}
    config = configuration(FinetuneConfig, parts, base, method, {**options, "out": str(out)})
    prepare_folder(config)
    loaded = base if isinstance(base, AbstractBackbone) else None
    return finetune_config(store_frames(config, parts), base=loaded, listener=listener, report=report)


def finetune_config(
    config: FinetuneConfig,
    *,
    base: AbstractBackbone | None = None,
    listener: Listener | None = None,
    report: bool = True,
) -> Run:
    """Fine-tune a base model from a configuration.

    Parameters
    ----------
    config : FinetuneConfig
    base : AbstractBackbone, optional
        The base that the configuration names, if it is loaded already; untouched afterwards.
    listener : Listener, optional
        Receives progress and findings; nothing is shown by default.
    report : bool
        As in `finetune`.

    Raises
    ------
    EquisparseError
        If an input cannot be used. It is raised before training starts, and no file is lost.
    """
    is_rank_zero = process_rank(config) == 0
    listener = listener if listener and is_rank_zero else Listener()
    folder = prepare_folder(config) if is_rank_zero else Path(config.out)
    with locked(folder) if is_rank_zero else nullcontext():
        return _finetune(config, base, folder, listener, report=report)


def _finetune(
    config: FinetuneConfig, base: AbstractBackbone | None, folder: Path, listener: Listener, *, report: bool
) -> Run:
    """Fine-tune in a folder that this process holds."""
    is_rank_zero = process_rank(config) == 0
    setup = _set_up(config, base, folder, listener)
    start = _measure_base(setup, listener)
    adapter, fitted = _train(setup, start, folder, listener)
    if not is_rank_zero:
        return Run(folder)
    with adapter.applied(setup.backbone.model):
        final = evaluate_all(setup.model, start.datasets)
    for name, frames in setup.splits.items():
        warn_of_not_finite(final.predictions[name], [frame.atoms for frame in frames], name)
    outcome = _outcome(setup, start, adapter, fitted, final)
    outcome = replace(outcome, stages=evaluate_stages(RunFolder(folder), setup.backbone, start.datasets))
    if report:
        outcome = replace(outcome, retention=retention(setup.backbone, adapter))
    run = write_run(folder, setup.backbone, outcome, complete=report)
    if report:
        write_figures(run, run.files.figures)
        write_report(run)
    listener.finished(run)
    return run


@dataclass(frozen=True)
class _Setup:
    """Everything that a fine-tune starts from.

    Parameters
    ----------
    config : FinetuneConfig
    splits : Splits of LabelledFrame
        With the labels that the model can learn from.
    sets : mapping of str to FrameSet
        The same frames under audit.
    backbone : AbstractBackbone
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
class _Start:
    """State before training: data sets, predictions of the base, findings and reference energies.

    Parameters
    ----------
    datasets : mapping of str to FrameDataset
        Splits with the shifted reference energies.
    base : Stage
        Predictions and errors of the base.
    findings : list of Finding
    references : ReferenceFit
    kept : FrameDataset
        Structures on which to preserve the base model's predictions.
    """

    datasets: dict[str, FrameDataset]
    base: Stage
    findings: Sequence[Finding]
    references: ReferenceFit
    kept: FrameDataset


def _set_up(config: FinetuneConfig, base: AbstractBackbone | None, folder: Path, listener: Listener) -> _Setup:
    """Read frames, load the base, choose the method, and audit what needs no prediction."""
    splits = read_splits(config)
    if base is not None:
        base.check_untouched()
    backbone = configured_base(config) if base is None else base.copied()
    if config.resume:
        check_resumable(folder, backbone)
    method, layout = configured_method(config, backbone.layout())
    splits, options, record = start_or_resume(config, splits, backbone, method, layout, listener)
    sizes = {name: len(frames) for name, frames in splits.items()}
    listener.planned(Plan(config.base, backbone, sizes, method, options))
    for name, frames in splits.items():
        listener.notice("labels", f"{name}, {describe_labels(frames)}")
    elements = set(backbone.elements)
    sets = frame_sets(splits.train, splits.valid, splits.test, elements, spins=config.spin)
    refuse_errors(audit_sets(sets), listener, force=config.force)
    check_trainable(splits, backbone, options, spins=config.spin)
    pieces = small_pieces(splits.train, backbone.cutoff) if config.fast else []
    if pieces and backbone.accelerate(pieces):
        listener.notice("speed", "faster form of the base; a self-check gave equal predictions")
    spins, splits = spin_setup(config, splits, backbone, listener.notice)
    return _Setup(config, splits, sets, backbone, method, layout, options, record, spins)


def _measure_base(setup: _Setup, listener: Listener) -> _Start:
    """Predict all frames with the base, audit the labels against it, and fit the reference energies."""
    config, splits, backbone = setup.config, setup.splits, setup.backbone
    unshifted = {name: FrameDataset(setup.model, frames, {}) for name, frames in splits.items()}
    base = evaluate_all(setup.model, unshifted)
    sets = {name: setup.sets[name].with_base(base.predictions[name], frames) for name, frames in splits.items()}
    findings = audit_sets(sets)
    refuse_errors(findings, listener, force=config.force)
    references = fit_references(sets["train"], backbone.reference_slots, backbone.cutoff)
    findings = sort_findings([*findings, *reference_findings(sets, references)])
    if findings:
        listener.audited(findings, stopped=False)
    datasets = {name: dataset.with_shifts(references.shifts) for name, dataset in unshifted.items()}
    kept = FrameDataset(setup.model, read_kept(config, backbone, splits.train), {})
    return _Start(datasets, base, findings, references, kept)


def _write_start(files: RunFolder, setup: _Setup) -> None:
    """Write the configuration, with the resolved number of epochs and learning rate, and the record of the inputs.

    The report of an earlier, shorter training is removed: a run without one is not finished.
    """
    options = setup.options
    config = replace(setup.config, epochs=options.epochs, lr=options.lr, resume=False)
    files.report.unlink(missing_ok=True)
    write_text(files.config, config.to_yaml())
    write_record(files.record, setup.record)


def _train(setup: _Setup, start: _Start, folder: Path, listener: Listener) -> tuple[Adapter, FitResult]:
    """Train the method and, if there is one, the spin layer."""
    config, datasets = setup.config, dict(start.datasets)
    replay = _replay(setup, start.kept, listener)
    layers = _layers(setup, start.kept)
    if config.bootstrap:
        datasets["train"] = datasets["train"].bootstrapped(config.seed)
    if process_rank(config) == 0:
        _write_start(RunFolder(folder), setup)
    return train_adapter(
        setup.backbone,
        setup.method,
        setup.layout,
        datasets,
        setup.options,
        folder,
        spins=setup.spins,
        replay=replay,
        layers=layers,
        resume=config.resume,
        listener=listener,
        stage_adapters=RunFolder(folder).stage_folder if config.curve else None,
    )


def _outcome(setup: _Setup, start: _Start, adapter: Adapter, fitted: FitResult, final: Stage) -> Outcome:
    """Results of the fine-tune, for `write_run`."""
    refitted = judged(start.base.predictions, start.datasets)
    return Outcome(
        adapter=adapter,
        frames=dict(setup.splits.items()),
        before=start.base.predictions,
        after=final.predictions,
        errors={"base": start.base.metrics, "refit": refitted.metrics, "final": final.metrics},
        fitted=fitted,
        references=start.references,
        seed=setup.config.seed,
        findings=start.findings,
        retention=None,
    )


def _layers(setup: _Setup, kept: FrameDataset) -> dict[str, LayerRows] | None:
    """Activations of the layers of the base on the replay structures, if the anchor needs them."""
    if not (setup.options.anchor and setup.method.keeps_base and len(kept)):
        return None
    return layer_rows(setup.backbone.model, setup.layout, lambda: evaluate(setup.model, kept), setup.options.seed)


def _replay(setup: _Setup, kept: FrameDataset, listener: Listener) -> Replay | None:
    """Structures to replay; None without ``config.replay``."""
    if not setup.config.replay:
        return None
    options = setup.options
    replay = replay_of(setup.model, kept.frames, seed=options.seed)
    listener.notice(
        "replay",
        f"{len(replay.learned)} structures, {options.replay_batch_size} per step, weight {options.replay_weight:g}; "
        f"{len(replay.held)} held out, weight {options.drift_weight:g} in the choice of the best epoch",
    )
    return replay
