"""One fine-tune from frames to files, in the order it happens."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone, Predictor
from equisparse.blocks import Layout
from equisparse.config.finetune import FinetuneConfig
from equisparse.errors import InputError
from equisparse.files import make_folder, write_text
from equisparse.inputs.spins import spin_setup
from equisparse.inputs.splits import Splits, choose_method, load_base, read_kept, read_splits, small_pieces
from equisparse.methods.base import AbstractMethod
from equisparse.robustness.retention import retention
from equisparse.tasks.results import ADAPTER, Outcome, write_results
from equisparse.tasks.stages import check_frames, evaluate_all, fit_references, judged, train_adapter
from equisparse.training.anchor import LayerRows, layer_rows
from equisparse.training.dataset import FrameDataset
from equisparse.training.fit import CHECKPOINTS, LAST, check_resumable, environment_rank
from equisparse.training.options import TrainingOptions
from equisparse.training.predict import evaluate
from equisparse.training.replay import Replay, replay_of


@dataclass(frozen=True)
class FinetuneResult:
    """What a fine-tune leaves.

    Parameters
    ----------
    folder : Path
        With ``adapter.safetensors``, the merged checkpoint if the method changes weights, ``metrics.json``,
        ``metrics.csv``, ``config.yaml``, ``report.html``, the tables it is made from (``predictions/``,
        ``interpretation/``, ``findings.json``), ``figures/`` and ``checkpoints/``.
    adapter : Adapter
    metrics : dict
        Contents of ``metrics.json``; empty in all but the first of several processes.
    """

    folder: Path
    adapter: Adapter
    metrics: dict[str, Any]


def finetune(config: FinetuneConfig, console: Console | None = None) -> FinetuneResult:
    """Fine-tune a base model on a user's frames.

    Parameters
    ----------
    config : FinetuneConfig
    console : Console, optional
        Where progress is shown; nowhere if not given.

    Raises
    ------
    EquisparseError
        If any input cannot be used; before training starts, and with nothing lost.
    """
    leads = environment_rank() == 0
    console = console if console and leads else Console(quiet=True)
    folder = prepare_folder(config) if leads else Path(config.out)
    splits = read_splits(config)
    backbone = load_base(config)
    if config.resume:
        check_resumable(folder, backbone)
    method, layout = choose_method(config, backbone.layout())
    options = config.training.resolved(len(splits.train), method.learning_rate)
    _announce(console, config, splits, backbone, method, options)

    check_frames(splits, None, backbone, console, force=config.force, spins=config.spin)
    if config.fast and backbone.accelerate(small_pieces(splits.train)):
        console.print("speed    the base's faster form, equal in a self-check", highlight=False)
    spins, splits = spin_setup(config, splits, backbone, console)
    model = spins or backbone
    unshifted = {name: FrameDataset(model, frames, {}) for name, frames in splits.items()}
    base = evaluate_all(model, unshifted)
    kept = FrameDataset(model, read_kept(config, backbone, splits.train), {})
    replay = _replay(config, options, model, kept, console)
    layers = _layers(options, method, layout, backbone, model, kept)
    findings = check_frames(splits, base.evaluations["train"], backbone, console, force=config.force, spins=config.spin)
    references = fit_references(backbone, splits, base.evaluations["train"])
    datasets = {name: dataset.with_shifts(references.shifts) for name, dataset in unshifted.items()}

    if leads:
        write_text(
            folder / "config.yaml", replace(config, epochs=options.epochs, lr=options.lr, resume=False).to_yaml()
        )
    drawn = {"train": datasets["train"].bootstrapped(config.seed)} if config.bootstrap else {}
    adapter, fitted = train_adapter(
        backbone,
        method,
        layout,
        datasets | drawn,
        options,
        folder,
        spins=spins,
        replay=replay,
        layers=layers,
        resume=config.resume,
        console=console,
    )
    if not leads:
        return FinetuneResult(folder, adapter, {})
    with adapter.applied(backbone.model):
        final = evaluate_all(model, datasets)

    stages = {"base": base, "refit": judged(base.evaluations, datasets), "final": final}
    forgotten = retention(backbone, adapter)
    outcome = Outcome(adapter, stages, fitted, references, splits, config.seed, findings, forgotten)
    return FinetuneResult(folder, adapter, write_results(folder, backbone, outcome, console))


def prepare_folder(config: FinetuneConfig) -> Path:
    """The folder for results; refuses one that holds a run already, unless that is to be resumed.

    Raises
    ------
    InputError
        If results are there already.
    """
    folder = Path(config.out)
    held = [name for name in (ADAPTER, f"{CHECKPOINTS}/{LAST}") if (folder / name).exists()]
    if held and not config.resume:
        raise InputError(
            "The output folder holds a run already.",
            given=f"{folder} with {', '.join(held)}",
            expected="a new or empty folder",
            next_step="choose another --out, or go on with that run with --resume",
        )
    return make_folder(folder)


def _layers(
    options: TrainingOptions,
    method: AbstractMethod,
    layout: Layout,
    backbone: AbstractBackbone,
    model: Predictor,
    kept: FrameDataset,
) -> dict[str, LayerRows] | None:
    """What the layers of the base give on structures to stay with it on, where the anchor asks for that."""
    if not (options.anchor and method.keeps_base and len(kept)):
        return None
    return layer_rows(backbone.model, layout, lambda: evaluate(model, kept), options.seed)


def _replay(
    config: FinetuneConfig, options: TrainingOptions, model: Predictor, kept: FrameDataset, console: Console
) -> Replay | None:
    """Structures to replay, if any were asked for, and a line about them."""
    if not config.replay:
        return None
    replay = replay_of(model, kept.frames, seed=options.seed)
    console.print(
        f"replay   {len(replay.learned)} structures, {options.replay_batch_size} a step, weight "
        f"{options.replay_weight:g}; {len(replay.held)} held out, weight {options.drift_weight:g} in the best epoch",
        highlight=False,
        soft_wrap=True,
    )
    return replay


def _announce(
    console: Console,
    config: FinetuneConfig,
    splits: Splits,
    backbone: AbstractBackbone,
    method: AbstractMethod,
    options: TrainingOptions,
) -> None:
    """What is about to happen, in four lines."""
    sizes = ", ".join(f"{len(frames)} {name}" for name, frames in splits.items())
    wishes = ", ".join(f"{key}={value}" for key, value in method.options().items() if value is not None)
    lines = (
        f"base     {config.base} ({backbone.name} {backbone.identity.version}, sha256 {backbone.identity.sha256[:12]}) "
        f"on {backbone.device}, {config.dtype}",
        f"frames   {sizes}",
        f"method   {method.name}" + (f" ({wishes})" if wishes else ""),
        f"training {options.epochs} epochs of {options.steps_per_epoch(len(splits.train))} steps, batch "
        f"{options.batch_size}, {options.optimizer}, learning rate {options.lr:g}, seed {options.seed}",
    )
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
