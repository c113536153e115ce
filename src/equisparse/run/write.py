"""Write the results of a fine-tune to the folder of its run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from equisparse.adapters.adapter import NOT_MERGEABLE, SPINS_STAY, Adapter, count_changes
from equisparse.adapters.file import save_adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.data.audit.finding import Finding
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.references import ReferenceFit
from equisparse.deploy.merge import TOO_COARSE, WITHOUT_SHIFTS, write_merged
from equisparse.errors import PrecisionError
from equisparse.inference.precision import PrecisionPrice
from equisparse.quantities import Quantity
from equisparse.robustness.drift import DriftSummary
from equisparse.run.files import RunFolder
from equisparse.run.folder import Run
from equisparse.run.interpretation import write_interpretation
from equisparse.run.metrics import Errors, Metrics, StageName, versions, write_metrics
from equisparse.run.predictions import split_predictions
from equisparse.run.sparsity import SparsityRow, sparsity_rows
from equisparse.training.fit import FitResult

_COMPARED_FRAMES = 5


@dataclass(frozen=True)
class Outcome:
    """Results of a fine-tune.

    Parameters
    ----------
    adapter : Adapter
    frames : mapping
        Split -> its frames: ``train``, ``valid`` and, if there are any, ``test``.
    before, after : mapping
        Split -> predictions of the base with its own reference energies, and of the fine-tuned model.
    errors : mapping
        ``base``, ``refit`` (base with refitted reference energies, or with the adapter `start`) and ``final`` -> split
        -> errors.
    fitted : FitResult
    references : ReferenceFit
    seed : int
    findings : sequence of Finding
        Findings of the audit.
    retention : DriftSummary or None
        Drift from the base; None if it was not measured.
    stages : sequence of SparsityRow
        Errors of the adapters of the stages before the last one; empty without ``--curve``.
    start : str or None
        Adapter from which training started.
    precision : PrecisionPrice or None
        Price of coarser matrix products in the training; None for full precision.
    """

    adapter: Adapter
    frames: Mapping[str, Sequence[LabelledFrame]]
    before: Mapping[str, Mapping[Quantity, Floats]]
    after: Mapping[str, Mapping[Quantity, Floats]]
    errors: Mapping[StageName, Mapping[str, Errors]]
    fitted: FitResult
    references: ReferenceFit
    seed: int
    findings: Sequence[Finding]
    retention: DriftSummary | None
    stages: Sequence[SparsityRow] = ()
    start: str | None = None
    precision: PrecisionPrice | None = None


def write_run(folder: Path, backbone: AbstractBackbone, outcome: Outcome, *, complete: bool = True) -> Run:
    """Write the adapter, the native checkpoint if the adapter can be merged, the tables and, last, the metrics.

    Parameters
    ----------
    folder : Path
        Folder of the run, which contains ``config.yaml`` and the files of the training.
    backbone : AbstractBackbone
        The untouched base; untouched again afterwards.
    outcome : Outcome
    complete : bool
        Whether to also write the native checkpoint and the tables that interpret the change.

    Raises
    ------
    StateError
        If the predictions of the native checkpoint differ from those of the adapted model.
    """
    files = RunFolder(folder)
    metrics = _measured(backbone, outcome)
    adapter = replace(outcome.adapter, metrics=_header(metrics))
    metrics = replace(metrics, adapter_bytes=save_adapter(adapter, files.adapter))
    if complete:
        metrics = _merged(files.merged(backbone.native_suffix), backbone, adapter, outcome, metrics)
    files.write_findings(outcome.findings)
    for split, frames in outcome.frames.items():
        before, after = outcome.before[split], outcome.after[split]
        files.write_predictions(split, split_predictions(frames, before, after, adapter.shifts))
    if complete:
        write_interpretation(files, adapter, backbone, outcome.frames["valid"])
    if outcome.stages:
        files.sparsity.write([*outcome.stages, *_last_stage(metrics, files.adapter.name)])
    write_metrics(files.metrics, metrics)  # from now on the run counts as finished
    return Run(folder)


def _last_stage(metrics: Metrics, file: str) -> list[SparsityRow]:
    """Errors of the adapter of the run on all sets but the training frames."""
    errors = {split: of_split for split, of_split in metrics.final.items() if split != "train"}
    return sparsity_rows(metrics.changed_count, metrics.changed_fraction_model, metrics.adapter_bytes, file, errors)


def _measured(backbone: AbstractBackbone, outcome: Outcome) -> Metrics:
    """Errors, counts, time and provenance; the size of the adapter file is filled in later."""
    adapter, references = outcome.adapter, outcome.references
    changes = count_changes(adapter, backbone.model)
    return Metrics(
        base=outcome.errors["base"],
        refit=outcome.errors["refit"],
        final=outcome.errors["final"],
        method=adapter.label,
        changed_fraction_model=changes.of_model,
        changed_fraction_selected=changes.of_selected,
        changed_count=changes.count,
        stored_values=adapter.stored_values,
        value_rounding=cast(float | None, adapter.metrics.get("value_rounding")),
        spin_layer_values=adapter.spins.n_values if adapter.spins else 0,
        steps=outcome.fitted.steps,
        seconds=round(outcome.fitted.seconds, 2),
        start=outcome.start,
        trials=outcome.fitted.trials,
        valid_loss=outcome.fitted.best_criterion,
        seed=outcome.seed,
        versions=versions(backbone),
        reference_shifts_ev=dict(references.shifts),
        reference_rank=references.rank,
        reference_unresolved=tuple(references.unresolved),
        retention=outcome.retention,
        precision=outcome.precision,
        adapter_bytes=0,
        base_bytes=backbone.native_bytes,
    )


def _header(metrics: Metrics) -> dict[str, object]:
    """Metrics in the header of the adapter file, with six significant digits to keep it short."""
    return {
        "final": {split: _rounded_errors(errors) for split, errors in metrics.final.items()},
        "changed_count": metrics.changed_count,
        "changed_fraction_model": _rounded(metrics.changed_fraction_model),
        "steps": metrics.steps,
        "seed": metrics.seed,
    }


def _rounded_errors(errors: Errors) -> dict[str, float | None]:
    """The same errors with six significant digits."""
    return {name: None if value is None else _rounded(value) for name, value in errors.items()}


def _rounded(value: float) -> float:
    """The same number with six significant digits."""
    return float(f"{value:.6g}")


def _merged(path: Path, backbone: AbstractBackbone, adapter: Adapter, outcome: Outcome, metrics: Metrics) -> Metrics:
    """Write the native checkpoint if the adapter can be merged, and add the result to the metrics."""
    if adapter.spins is not None or not adapter.mergeable:
        return replace(metrics, not_merged=SPINS_STAY if adapter.spins is not None else NOT_MERGEABLE)
    frames = outcome.frames["valid"][:_COMPARED_FRAMES]
    try:
        check = write_merged(backbone, adapter, path, [frame.atoms for frame in frames])
    except PrecisionError:
        return replace(metrics, not_merged=f"{TOO_COARSE}; {WITHOUT_SHIFTS}")
    return replace(metrics, merged_check=check, deployment=backbone.deployment_notes(Path(path.name)))
