"""What a fine-tune leaves in its folder, and what it prints at the end."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from equisparse.adapters.adapter import NOT_MERGEABLE, SPINS_STAY, Adapter, count_changes
from equisparse.adapters.file import ADAPTER as ADAPTER
from equisparse.adapters.file import save_adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.data.audit.finding import Finding
from equisparse.data.references import ReferenceFit
from equisparse.data.split import FrameSplits
from equisparse.deploy.merge import MergeCheck, write_merged
from equisparse.files import write_text
from equisparse.report.html.document import write_report
from equisparse.report.paper.export import write_figures
from equisparse.report.terminal.tables import error_table, worse_line
from equisparse.robustness.drift import drift_line
from equisparse.run.folder import read_run
from equisparse.tasks.records import write_findings, write_functional, write_predictions, write_signatures
from equisparse.tasks.stages import Stage
from equisparse.training.fit import FitResult

METRICS = "metrics.json"
_DIVERGED = (
    "caution  training diverged: the loss is NaN. The best epoch before is kept. Try half the learning rate (--lr)"
)
_COMPARED_FRAMES = 5
_PACKAGES = ("equisparse", "torch", "e3nn", "ase", "numpy", "lightning", "schedulefree", "safetensors")
_IN_HEADER = ("final", "changed_count", "changed_fraction_model", "steps", "seed")


@dataclass(frozen=True)
class Outcome:
    """Everything that a fine-tune found out.

    Parameters
    ----------
    adapter : Adapter
    stages : mapping of str to Stage
        ``base``, ``refit`` (base with shifted reference energies) and ``final``.
    fitted : FitResult
    references : ReferenceFit
    splits : Splits of LabelledFrame
    seed : int
    findings : sequence of Finding
        Of the audit.
    retention : mapping
        Drift from the base, of `equisparse.robustness.drift.summary`.
    """

    adapter: Adapter
    stages: Mapping[str, Stage]
    fitted: FitResult
    references: ReferenceFit
    splits: FrameSplits
    seed: int
    findings: Sequence[Finding]
    retention: Mapping[str, Any]


def write_results(folder: Path, backbone: AbstractBackbone, outcome: Outcome, console: Console) -> dict[str, Any]:
    """Write adapter, native checkpoint if there can be one, metrics, figures, tables and report; print the errors.

    Returns
    -------
    dict
        Contents of ``metrics.json``.

    Raises
    ------
    StateError
        If the native checkpoint does not give what the adapter gives.
    """
    metrics = _measured(backbone, outcome)
    adapter = replace(outcome.adapter, metrics={key: _rounded(metrics[key]) for key in _IN_HEADER})
    metrics["adapter_bytes"] = save_adapter(adapter, folder / ADAPTER)
    metrics["base_bytes"], merged = backbone.native_bytes, folder / f"merged{backbone.native_suffix}"
    check = _merged(backbone, adapter, merged, outcome.splits)
    if check is None:
        metrics["not_merged"] = SPINS_STAY if adapter.spins else NOT_MERGEABLE
    else:
        metrics |= {"merged_check": asdict(check), "deployment": backbone.deployment_notes(Path(merged.name))}
    stages = {name: stage.predictions for name, stage in outcome.stages.items()}
    write_findings(folder, outcome.findings)
    write_predictions(folder, outcome.splits, stages["base"], stages["final"], adapter)
    write_signatures(folder, adapter, backbone)
    write_functional(folder, adapter, backbone, outcome.splits.valid)
    write_text(folder / METRICS, json.dumps(metrics, indent=2) + "\n")  # from now on the run counts as finished
    write_figures(read_run(folder), folder / "figures")
    report = write_report(folder)
    console.print(error_table({name: stage.metrics for name, stage in outcome.stages.items()}))
    caution = worse_line(outcome.stages["refit"].metrics["valid"], outcome.stages["final"].metrics["valid"])
    closing = (
        *([_DIVERGED] if outcome.fitted.diverged else []),
        *([caution] if caution else []),
        *_closing_lines(metrics),
        *([f"merged   no: {metrics['not_merged']}"] if check is None else [f"merged   {check}"]),
        f"results  {folder}",
        f"report   {report}",
        *([] if check is None else [backbone.deployment_notes(merged)]),
    )
    console.print("\n".join(closing), markup=False, highlight=False, soft_wrap=True)
    return metrics


def _merged(backbone: AbstractBackbone, adapter: Adapter, path: Path, splits: FrameSplits) -> MergeCheck | None:
    """Write and check the native checkpoint; None where there is none that does what the adapter does."""
    if not adapter.mergeable or adapter.spins is not None:
        return None
    return write_merged(backbone, adapter, path, [frame.atoms for frame in splits.valid[:_COMPARED_FRAMES]])


def versions(backbone: AbstractBackbone) -> dict[str, str]:
    """Versions of everything that a result depends on, and the kind of machine."""
    installed = {found.metadata["Name"].lower() for found in metadata.distributions() if found.metadata["Name"]}
    found = {name: metadata.version(name) for name in _PACKAGES if name in installed}
    device = backbone.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, {name}"
    return found | {backbone.name: backbone.identity.version, "python": platform.python_version(), "machine": machine}


def _measured(backbone: AbstractBackbone, outcome: Outcome) -> dict[str, Any]:
    """Errors, counts, time and provenance."""
    changes = count_changes(outcome.adapter, backbone.model)
    references = outcome.references
    return {name: stage.metrics for name, stage in outcome.stages.items()} | {
        "method": outcome.adapter.method,
        "changed_fraction_model": changes.of_model,
        "changed_fraction_selected": changes.of_selected,
        "changed_count": changes.count,
        "stored_values": outcome.adapter.stored_values,
        "spin_layer_values": outcome.adapter.spins.n_values if outcome.adapter.spins else 0,
        "steps": outcome.fitted.steps,
        "seconds": round(outcome.fitted.seconds, 2),
        "seed": outcome.seed,
        "versions": versions(backbone),
        "reference_shifts_ev": {str(z): shift for z, shift in references.shifts.items()},
        "reference_rank": references.rank,
        "reference_unresolved": list(references.unresolved),
        "retention": dict(outcome.retention),
    }


def _rounded(value: Any) -> Any:
    """The same plain value with six significant digits, to keep headers short."""
    if isinstance(value, Mapping):
        return {key: _rounded(part) for key, part in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _closing_lines(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """Size and price of the change, and what it keeps of the base."""
    return (
        f"changed  {metrics['changed_count']:,} weights: {metrics['changed_fraction_model']:.3%} of the whole model, "
        f"{metrics['changed_fraction_selected']:.3%} of the selected tensors",
        f"adapter  {metrics['adapter_bytes']:,} bytes, {metrics['stored_values']:,} stored values "
        f"(base checkpoint {metrics['base_bytes']:,} bytes)"
        + (f", and {metrics['spin_layer_values']:,} of the spin layer" if metrics["spin_layer_values"] else ""),
        f"training {metrics['steps']} steps in {metrics['seconds']:.0f} s",
        f"kept     {drift_line(metrics['retention'])}",
    )
