"""One fine-tune from frames to files, in the order it happens."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from equisparse.adapters.adapter import Adapter, adapter_of, count_changes
from equisparse.adapters.attach import attach
from equisparse.adapters.file import save_adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.registry import load_backbone
from equisparse.config.finetune import FinetuneConfig
from equisparse.data.audit import BasePrediction, Finding, audit, format_findings, has_errors
from equisparse.data.references import ReferenceFit, composition_matrix, fit_reference_shifts
from equisparse.deploy.merge import MergeCheck, merge
from equisparse.errors import DataError, InputError
from equisparse.methods.base import AbstractMethod
from equisparse.report.text import error_table
from equisparse.training.dataset import FrameDataset
from equisparse.training.fit import FitResult, fit
from equisparse.training.options import TrainingOptions
from equisparse.training.predict import Evaluation, evaluate
from equisparse.workflow.figures import write_figures
from equisparse.workflow.inputs import Splits, choose_method, read_splits

Metrics = dict[str, dict[str, float | None]]
"""Split -> name of the error -> value."""

_COMPARED_FRAMES = 5


@dataclass(frozen=True)
class FinetuneResult:
    """What a fine-tune leaves.

    Parameters
    ----------
    folder : Path
        With ``adapter.safetensors``, the merged checkpoint, ``metrics.json``, ``metrics.csv``, ``config.yaml``,
        ``figures/`` and ``checkpoints/``.
    adapter : Adapter
    metrics : dict
        Contents of ``metrics.json``.
    """

    folder: Path
    adapter: Adapter
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """Predictions of one model on every split, and their errors."""

    evaluations: dict[str, Evaluation]
    metrics: Metrics


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
    console = console or Console(quiet=True)
    folder = prepare_folder(config)
    splits = read_splits(config)
    backbone = load_backbone(
        config.base, backbone=config.backbone, device=config.device, dtype=config.dtype, modality=config.modality
    )
    method, layout = choose_method(config, backbone.layout())
    options = config.training.resolved(len(splits.train), method.learning_rate)
    _announce(console, config, splits, backbone, method, options)
    check_frames(splits, None, backbone, config, console)
    datasets = {name: FrameDataset(backbone, frames, {}) for name, frames in splits.items()}
    base = evaluate_all(backbone, datasets)
    check_frames(splits, base.evaluations["train"], backbone, config, console)
    references = fit_references(backbone, splits, base.evaluations["train"])
    datasets = {name: dataset.with_shifts(references.shifts) for name, dataset in datasets.items()}
    refit = Stage(base.evaluations, errors_of(base.evaluations, datasets))
    _write_text(folder / "config.yaml", replace(config, **_resolved(options), force=config.force, resume=False).to_yaml())

    attachment = attach(backbone.model, method, layout, seed=config.seed)
    fitted = fit(
        backbone, attachment, datasets["train"], datasets["valid"], options, folder, resume=config.resume, console=console
    )
    adapter = adapter_of(
        attachment,
        base=asdict(backbone.identity),
        dtype=backbone.dtype,
        shifts=references.shifts,
        elements=tuple(sorted(references.shifts)),
        modality=config.modality,
    )
    attachment.detach()
    with adapter.merged(backbone.model):
        final = evaluate_all(backbone, datasets)
    stages = {"base": base, "refit": refit, "final": final}
    return _write_results(folder, backbone, adapter, stages, fitted, references, splits, datasets, config, console)


def prepare_folder(config: FinetuneConfig) -> Path:
    """The folder for results; refuses one that holds a finished or another run.

    Raises
    ------
    InputError
        If results are there already, or there is nothing to resume.
    """
    folder = Path(config.out)
    held = [name for name in ("adapter.safetensors", "checkpoints") if (folder / name).exists()]
    if held and not config.resume:
        raise InputError(
            "The output folder holds a run already.",
            given=f"{folder} with {', '.join(held)}",
            expected="a new or empty folder",
            next_step="choose another --out, or go on with that run with --resume",
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def check_frames(
    splits: Splits, base: Evaluation | None, backbone: AbstractBackbone, config: FinetuneConfig, console: Console
) -> list[Finding]:
    """Audit the frames, print what is found, and stop on errors.

    Without `base`, only what needs no model is judged and only errors are printed; with it, everything is.

    Raises
    ------
    DataError
        If there are errors and the user did not say ``--force``.
    """
    prediction = None if base is None else BasePrediction(base.energy, base.forces, base.stress)
    findings = audit(splits.train, splits.valid, splits.test, elements=set(backbone.elements), base=prediction)
    fatal = has_errors(findings) and not config.force
    if findings and (fatal or base is not None):
        console.print(format_findings(findings), markup=False, highlight=False, soft_wrap=True)
    if fatal:
        raise DataError(
            "The audit found errors in the data; nothing was trained.",
            next_step="mend them as the findings say, or train all the same with --force",
        )
    return findings


def evaluate_all(backbone: AbstractBackbone, datasets: Mapping[str, FrameDataset]) -> Stage:
    """Predictions and errors of the present weights on every split."""
    evaluations = {name: evaluate(backbone, dataset) for name, dataset in datasets.items()}
    return Stage(evaluations, errors_of(evaluations, datasets))


def errors_of(evaluations: Mapping[str, Evaluation], datasets: Mapping[str, FrameDataset]) -> Metrics:
    """Errors of predictions against the labels of data sets less their shifts."""
    return {name: evaluation.metrics(datasets[name]) for name, evaluation in evaluations.items()}


def fit_references(backbone: AbstractBackbone, splits: Splits, base: Evaluation) -> ReferenceFit:
    """Shifts of the reference energies from the training frames that have an energy.

    Elements that share one reference energy in the base get one common shift.
    """
    labelled = [number for number, frame in enumerate(splits.train) if frame.energy is not None]
    frames = [splits.train[number] for number in labelled]
    counts, elements = composition_matrix(frames)
    slots = sorted({backbone.reference_slots[z] for z in elements})
    members = np.array([[backbone.reference_slots[z] == slot for slot in slots] for z in elements], dtype=float)
    residuals = np.array([frame.energy for frame in frames], dtype=float) - base.energy[labelled]
    representatives = [next(z for z in elements if backbone.reference_slots[z] == slot) for slot in slots]
    fitted = fit_reference_shifts(counts @ members, residuals, representatives)
    by_slot = {backbone.reference_slots[z]: shift for z, shift in fitted.shifts.items()}
    return replace(fitted, shifts={z: by_slot[backbone.reference_slots[z]] for z in elements})


def _write_results(
    folder: Path,
    backbone: AbstractBackbone,
    adapter: Adapter,
    stages: Mapping[str, Stage],
    fitted: FitResult,
    references: ReferenceFit,
    splits: Splits,
    datasets: Mapping[str, FrameDataset],
    config: FinetuneConfig,
    console: Console,
) -> FinetuneResult:
    """Adapter, native checkpoint, metrics, figures; then the table."""
    changes = count_changes(adapter, backbone.model)
    metrics: dict[str, Any] = {name: stage.metrics for name, stage in stages.items()} | {
        "changed_fraction_model": changes.of_model,
        "changed_fraction_selected": changes.of_selected,
        "changed_count": changes.count,
        "stored_values": adapter.stored_values,
        "steps": fitted.steps,
        "seconds": round(fitted.seconds, 2),
        "seed": config.seed,
        "versions": versions(backbone),
        "reference_shifts_ev": {str(z): shift for z, shift in references.shifts.items()},
        "reference_rank": references.rank,
        "reference_unresolved": list(references.unresolved),
    }
    summary = {key: metrics[key] for key in ("final", "changed_count", "changed_fraction_model", "steps", "seed")}
    adapter = replace(adapter, metrics=summary)
    merged = folder / f"merged{backbone.native_suffix}"
    metrics["adapter_bytes"] = save_adapter(adapter, folder / "adapter.safetensors")
    check = merge(backbone, adapter, merged, [frame.atoms for frame in splits.valid[:_COMPARED_FRAMES]])
    metrics |= {"base_bytes": backbone.native_bytes, "merged_check": asdict(check)}
    _write_text(folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    write_figures(folder / "figures", adapter, stages, splits, references.shifts, fitted.curve)
    _print_end(console, folder, backbone, metrics, check, merged)
    return FinetuneResult(folder, adapter, metrics)


def versions(backbone: AbstractBackbone) -> dict[str, str]:
    """Versions of everything that a result depends on, and the kind of machine."""
    packages = ("equisparse", "torch", "e3nn", "ase", "numpy", "lightning", "schedulefree", "safetensors")
    found = {name: metadata.version(name) for name in packages if _installed(name)}
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, {backbone.device.type}"
    return found | {backbone.name: backbone.identity.version, "python": platform.python_version(), "machine": machine}


def _installed(package: str) -> bool:
    """Whether a distribution is installed."""
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


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
        f"base     {config.base} ({backbone.identity.version}, sha256 {backbone.identity.sha256[:12]}) "
        f"on {backbone.device}, {config.dtype}",
        f"frames   {sizes}",
        f"method   {method.name}" + (f" ({wishes})" if wishes else ""),
        f"training {options.epochs} epochs of {options.steps_per_epoch(len(splits.train))} steps, batch "
        f"{options.batch_size}, {options.optimizer}, learning rate {options.lr:g}, seed {options.seed}",
    )
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _print_end(
    console: Console, folder: Path, backbone: AbstractBackbone, metrics: Mapping[str, Any], check: MergeCheck, merged: Path
) -> None:
    """The table, the size of the change, and where everything is."""
    console.print(error_table({stage: metrics[stage] for stage in ("base", "refit", "final")}))
    lines = (
        f"changed  {metrics['changed_count']:,} weights: {metrics['changed_fraction_model']:.3%} of the whole model, "
        f"{metrics['changed_fraction_selected']:.3%} of the selected tensors",
        f"adapter  {metrics['adapter_bytes']:,} bytes, {metrics['stored_values']:,} stored values "
        f"(base checkpoint {metrics['base_bytes']:,} bytes)",
        f"training {metrics['steps']} steps in {metrics['seconds']:.0f} s",
        f"merged   {check}",
        f"results  {folder}",
        backbone.deployment_notes(merged),
    )
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _resolved(options: TrainingOptions) -> dict[str, Any]:
    """Training options that were defaults, as the run used them."""
    return {"epochs": options.epochs, "lr": options.lr}


def _write_text(path: Path, text: str) -> None:
    """Write a text file, all at once."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    os.replace(part, path)


