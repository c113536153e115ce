"""Every command: one call, and what is printed of it."""

import json
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from rich.console import Console

from equisparse.cli.words import KEYS
from equisparse.config.finetune import EnsembleConfig, FinetuneConfig
from equisparse.data.labels import LabelKeys, LabelUnits
from equisparse.files import write_text

_FAILED = 3
"""Exit code of a verdict that is fail."""


def _labels(options: Namespace) -> tuple[LabelKeys, LabelUnits]:
    """Names and units of the labels from options."""
    return (
        LabelKeys(*(options[name] for name in KEYS)),
        LabelUnits(options.energy_unit, options.length_unit, options.stress_unit, options.stress_sign),
    )


def _finetune(options: Namespace, console: Console) -> int:
    from equisparse.tasks.finetune import finetune

    values = {name: value for name, value in options.as_dict().items() if name != "config"}
    finetune(FinetuneConfig(**values), console)
    return 0


def _ensemble(options: Namespace, console: Console) -> int:
    from equisparse.tasks.ensemble import train_ensemble

    values = {name: value for name, value in options.as_dict().items() if name != "config"}
    train_ensemble(EnsembleConfig(**values), console)
    return 0


def _audit(options: Namespace, console: Console) -> int:
    from equisparse.tasks.checks import audit_files

    keys, units = _labels(options)
    text, clean = audit_files(options.data, keys, units, _load(options) if options.base else None)
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    return 0 if clean else 2


def _evaluate(options: Namespace, console: Console) -> int:
    from equisparse.report.terminal.tables import metrics_table
    from equisparse.tasks.checks import evaluate_files

    keys, units = _labels(options)
    metrics = evaluate_files(options.data, keys, units, _load(options), options.adapter)
    console.print(metrics_table(metrics))
    if options.json:
        write_text(Path(options.json), json.dumps(metrics, indent=2) + "\n")
    return 0


def _inspect(options: Namespace, console: Console) -> int:
    from equisparse.adapters.file import load_adapter
    from equisparse.report.terminal.tables import inspect_tables

    for part in inspect_tables(load_adapter(options.adapter), Path(options.adapter).stat().st_size):
        console.print(part)
    return 0


def _report(options: Namespace, console: Console) -> int:
    from equisparse.report.html.document import write_report

    path = write_report(options.run, Path(options.out) if options.out else None)
    console.print(f"written: {path}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _attribute(options: Namespace, console: Console) -> int:
    from equisparse.tasks.attribute import attribute_run

    path = attribute_run(options.run, options.by, console, frames=options.frames, device=options.device)
    console.print(f"written: {path}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _probe(options: Namespace, console: Console) -> int:
    from equisparse.robustness.dynamics import DynamicsOptions
    from equisparse.tasks.probe import ProbeOptions, probe_run

    runs = DynamicsOptions(options.temperature, options.steps, options.timestep, options.seed)
    wishes = ProbeOptions(runs, options.starts, options.compressed)
    return _FAILED if probe_run(options.run, wishes, console, device=options.device) == "fail" else 0


def _compare(options: Namespace, console: Console) -> int:
    from equisparse.tasks.compare import compare_runs

    path = compare_runs(options.runs, Path(options.out))
    console.print(f"written: {path}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _export(options: Namespace, console: Console) -> int:
    from equisparse.report.paper.export import write_figures, write_tables
    from equisparse.run.folder import read_run

    run, folder = read_run(options.run), Path(options.out)
    written = [*write_figures(run, folder, ("png", "svg")), *write_tables(run, folder)]
    console.print(f"{len(written)} files written: {folder}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _orders(options: Namespace, console: Console) -> int:
    from equisparse.report.terminal.tables import orders_table
    from equisparse.tasks.orders import scan_file

    orders = scan_file(options.structure, _load(options), options.adapter, options.supercell, options.out)
    rows = [
        (order.energy, float(order.moments.sum()), float(abs(order.moments).max()), order.count, order.signs)
        for order in orders[: options.top]
    ]
    console.print(orders_table(rows, len(orders)))
    if options.out:
        console.print(f"written: {options.out}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _merge(options: Namespace, console: Console) -> int:
    from equisparse.adapters.adapter import SPINS_STAY
    from equisparse.adapters.file import load_adapter
    from equisparse.tasks.checks import merge_files

    backbone = _load(options)
    check = merge_files(backbone, options.adapter, Path(options.out), options.frames)
    adapter = load_adapter(options.adapter)
    left = "" if adapter.spins is None else f"left out: {SPINS_STAY}\n"
    lines = f"{check}\nwritten: {options.out}\n{left}{backbone.deployment_notes(Path(options.out))}"
    console.print(lines, markup=False, highlight=False, soft_wrap=True)
    return 0


def _combine(options: Namespace, console: Console) -> int:
    from equisparse.tasks.combine import combine_files

    base = (lambda: _load(options)) if options.base else None
    text = combine_files(options.adapters, options.weights, Path(options.out), base)
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    return 0


def _diff(options: Namespace, console: Console) -> int:
    from equisparse.tasks.combine import diff_files

    for part in diff_files(options.first, options.second):
        console.print(part, highlight=False)
    return 0


def _load(options: Namespace) -> Any:
    """The base model of a command's options."""
    from equisparse.backbones.registry import load_backbone

    return load_backbone(
        options.base,
        backbone=options.backbone,
        device=options.device,
        dtype=options.dtype,
        modality=options.modality,
        sha256=options.sha256,
    )


COMMANDS = {
    "finetune": _finetune,
    "ensemble": _ensemble,
    "audit": _audit,
    "evaluate": _evaluate,
    "inspect": _inspect,
    "report": _report,
    "attribute": _attribute,
    "probe": _probe,
    "compare": _compare,
    "export": _export,
    "orders": _orders,
    "merge": _merge,
    "combine": _combine,
    "diff": _diff,
}
