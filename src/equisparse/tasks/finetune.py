"""Fine-tune a base model: from frames to the files of a run, in the order in which it happens."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.config.finetune import FinetuneConfig
from equisparse.config.keywords import FinetuneOptions, shows_options
from equisparse.data.kept import structures_of
from equisparse.files import locked, write_text
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.precision import precision_price
from equisparse.inference.predict import evaluate
from equisparse.inference.structures import warn_of_not_finite
from equisparse.inputs.arguments import configuration, store_frames
from equisparse.inputs.base import Base
from equisparse.inputs.frames import Frames
from equisparse.methods.base import AbstractMethod
from equisparse.report.html.document import write_report
from equisparse.report.paper.export import write_figures
from equisparse.robustness.retention import retention
from equisparse.run.files import RunFolder
from equisparse.run.folder import Run
from equisparse.run.record import write_record
from equisparse.run.write import Outcome, write_run
from equisparse.tasks.listener import Listener
from equisparse.tasks.resume import prepare_folder
from equisparse.tasks.setup import Setup, Start, measure_start, set_up
from equisparse.tasks.sparsity import evaluate_stages
from equisparse.tasks.stages import Stage, evaluate_all, train_adapter
from equisparse.training.anchor import LayerRows, layer_rows
from equisparse.training.fit import FitResult
from equisparse.training.group import Group, launched_group
from equisparse.training.processes import process_rank
from equisparse.training.replay import Replay, replay_of
from equisparse.wording import counted

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
    valid : as train, optional
        Validation frames, by which the best epoch is chosen; by default a part of the training frames.
    test : as train, optional
        Test frames, used for the final errors only.
    replay : as train, optional
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
    with locked(folder) if is_rank_zero else nullcontext(), launched_group(config) as group:
        return _finetune(config, base, folder, listener, group, report=report)


def _finetune(
    config: FinetuneConfig,
    base: AbstractBackbone | None,
    folder: Path,
    listener: Listener,
    group: Group,
    *,
    report: bool,
) -> Run:
    """Fine-tune in a folder that the first process holds.

    All processes train. Those that torchrun or srun started share the predictions as well; one that Lightning started
    for the training ends with it.
    """
    is_rank_zero = process_rank(config) == 0
    setup = set_up(config, base, folder, listener)
    start = measure_start(setup, listener, group)
    adapter, fitted = _train(setup, start, folder, listener)
    if fitted.throughput is not None:
        listener.notice("throughput", str(fitted.throughput))
    if not is_rank_zero and group.size == 1:
        return Run(folder)
    with adapter.applied(setup.backbone.model):
        final = evaluate_all(setup.model, start.datasets, group)
    if not is_rank_zero:
        return Run(folder)
    with adapter.applied(setup.backbone.model):
        price = precision_price(setup.model, start.datasets["valid"], setup.options.precision)
    for name, frames in setup.splits.items():
        warn_of_not_finite(final.predictions[name], structures_of(frames), name)
    outcome = _outcome(setup, start, adapter, fitted, final)
    stages = evaluate_stages(RunFolder(folder), setup.backbone, start.datasets)
    outcome = replace(outcome, stages=stages, precision=price)
    if report:
        outcome = replace(outcome, retention=retention(setup.backbone, adapter))
    run = write_run(folder, setup.backbone, outcome, complete=report)
    if report:
        write_figures(run, run.files.figures)
        write_report(run)
    listener.finished(run)
    return run


def _write_start(files: RunFolder, setup: Setup) -> None:
    """Write the configuration, with the resolved number of epochs and learning rate, and the record of the inputs.

    The report of an earlier, shorter training is removed: a run without one is not finished.
    """
    options = setup.options
    config = replace(setup.config, epochs=options.epochs, lr=options.lr, resume=False)
    files.report.unlink(missing_ok=True)
    write_text(files.config, config.to_yaml())
    write_record(files.record, setup.record)


def _train(setup: Setup, start: Start, folder: Path, listener: Listener) -> tuple[Adapter, FitResult]:
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
        start=setup.adapter,
        stage_adapters=RunFolder(folder).stage_folder if config.curve else None,
    )


def _outcome(setup: Setup, start: Start, adapter: Adapter, fitted: FitResult, final: Stage) -> Outcome:
    """Results of the fine-tune, for `write_run`."""
    return Outcome(
        adapter=adapter,
        frames=dict(setup.splits.items()),
        before=start.base.predictions,
        after=final.predictions,
        errors={"base": start.base.metrics, "refit": start.first.metrics, "final": final.metrics},
        fitted=fitted,
        references=start.references,
        seed=setup.config.seed,
        findings=start.findings,
        retention=None,
        start=setup.config.start,
    )


def _layers(setup: Setup, kept: FrameDataset) -> dict[str, LayerRows] | None:
    """Activations of the layers of the base on the replay structures, if the anchor needs them."""
    if not (setup.options.anchor and setup.method.keeps_base and len(kept)):
        return None
    return layer_rows(setup.backbone.model, setup.layout, lambda: evaluate(setup.model, kept), setup.options.seed)


def _replay(setup: Setup, kept: FrameDataset, listener: Listener) -> Replay | None:
    """Structures to replay; None without ``config.replay``."""
    if not setup.config.replay:
        return None
    options = setup.options
    replay = replay_of(setup.model, kept.frames, seed=options.seed)
    listener.notice(
        "replay",
        f"{counted(len(replay.learned), 'structure')}, {options.replay_batch_size} per step, weight "
        f"{options.replay_weight:g}; "
        f"{len(replay.held)} held out, weight {options.drift_weight:g} in the choice of the best epoch",
    )
    return replay
