"""Every command: one call, and what is printed of it."""

import json
from dataclasses import replace
from pathlib import Path

from jsonargparse import Namespace
from rich.console import Console

from equisparse.cli.words import KEYS
from equisparse.config.finetune import EnsembleConfig, FinetuneConfig
from equisparse.data.labels import LabelKeys, LabelUnits
from equisparse.files import write_text
from equisparse.inputs.base import LoadOptions

_FAILED = 3
"""Exit code of a verdict that is fail."""


def _labels(options: Namespace) -> tuple[LabelKeys, LabelUnits]:
    """Names and units of the labels from options."""
    return (
        LabelKeys(*(options[name] for name in KEYS)),
        LabelUnits(options.energy_unit, options.length_unit, options.stress_unit, options.stress_sign),
    )


def _finetune(options: Namespace, console: Console) -> int:
    from equisparse.cli.listener import TerminalListener
    from equisparse.tasks.finetune import finetune_config

    values = {name: value for name, value in options.as_dict().items() if name != "config"}
    finetune_config(FinetuneConfig(**values), listener=TerminalListener(console))
    return 0


def _ensemble(options: Namespace, console: Console) -> int:
    from equisparse.cli.listener import TerminalListener, ensemble_lines
    from equisparse.tasks.ensemble import ensemble_config

    values = {name: value for name, value in options.as_dict().items() if name != "config"}
    run = ensemble_config(EnsembleConfig(**values), listener=TerminalListener(console))
    console.print("\n".join(ensemble_lines(run)), markup=False, highlight=False, soft_wrap=True)
    return 0


def _audit(options: Namespace, console: Console) -> int:
    from equisparse.data.audit.finding import format_findings, has_errors
    from equisparse.data.read import read_frames
    from equisparse.tasks.audit import audit

    keys, units = _labels(options)
    frames = read_frames(options.data, replace(keys, magnetic=True), units)
    findings = audit(frames, options.base, **_base_options(options))
    text = format_findings(findings) if findings else "nothing found"
    console.print(f"{len(frames)} frames read\n{text}", markup=False, highlight=False, soft_wrap=True)
    return 2 if has_errors(findings) else 0


def _evaluate(options: Namespace, console: Console) -> int:
    from equisparse.report.tables import metrics_table
    from equisparse.report.terminal.render import rich_table
    from equisparse.tasks.evaluate import evaluate

    keys, units = _labels(options)
    base = _base_options(options)
    metrics = evaluate(options.data, options.base, options.adapter, keys=keys, units=units, **base)
    console.print(rich_table(metrics_table(metrics)))
    if options.json:
        write_text(Path(options.json), json.dumps(metrics, indent=2) + "\n")
    return 0


def _inspect(options: Namespace, console: Console) -> int:
    from equisparse.adapters.file import load_adapter
    from equisparse.report.terminal.inspect import inspect_tables

    for part in inspect_tables(load_adapter(options.adapter), Path(options.adapter).stat().st_size):
        console.print(part)
    return 0


def _report(options: Namespace, console: Console) -> int:
    from equisparse.tasks.report import write_report

    path = write_report(options.run, options.out)
    console.print(f"written: {path}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _attribute(options: Namespace, console: Console) -> int:
    from equisparse.run.files import RunFolder
    from equisparse.tasks.attribute import attribute

    rows = attribute(options.run, options.by, frames=options.frames, device=options.device)
    path = RunFolder(Path(options.run)).attribution(options.by).path
    text = f"{len(rows)} groups, at most {options.frames} validation frames\nwritten: {path}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    return 0


def _probe(options: Namespace, console: Console) -> int:
    from equisparse.cli.listener import TerminalListener
    from equisparse.report.tables import probe_table
    from equisparse.report.terminal.render import rich_table
    from equisparse.tasks.probe import probe

    result = probe(
        options.run,
        temperature=options.temperature,
        steps=options.steps,
        timestep=options.timestep,
        starts=options.starts,
        compressed=options.compressed,
        seed=options.seed,
        device=options.device,
        listener=TerminalListener(console),
    )
    console.print(rich_table(probe_table(result.checks)))
    lines = f"verdict  {result.level}\nresults  {result.folder}\nreport   {result.folder.parent / 'report.html'}"
    console.print(lines, highlight=False, soft_wrap=True)
    return _FAILED if result.level == "fail" else 0


def _compare(options: Namespace, console: Console) -> int:
    from equisparse.tasks.compare import compare

    path = compare(options.runs, options.out)
    console.print(f"written: {path}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _export(options: Namespace, console: Console) -> int:
    from equisparse.tasks.export import export

    written = export(options.run, options.out)
    console.print(f"{len(written)} files written: {options.out}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _orders(options: Namespace, console: Console) -> int:
    from equisparse.report.tables import orders_table
    from equisparse.report.terminal.render import rich_table
    from equisparse.tasks.orders import orders

    base, cell = _base_options(options), options.supercell
    ranked = orders(options.structure, options.base, options.adapter, supercell=cell, out=options.out, **base)
    rows = [
        (order.energy, float(order.moments.sum()), float(abs(order.moments).max()), order.count, order.signs)
        for order in ranked[: options.top]
    ]
    console.print(rich_table(orders_table(rows, len(ranked))))
    if options.out:
        console.print(f"written: {options.out}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _merge(options: Namespace, console: Console) -> int:
    from equisparse.tasks.merge import merge

    frames = options.frames or "demo:valid"
    merged = merge(options.base, options.adapter, options.out, frames=frames, **_base_options(options))
    left = f"left out: {merged.left_out}\n" if merged.left_out else ""
    lines = f"{merged.check}\nwritten: {merged.path}\n{left}{merged.notes}"
    console.print(lines, markup=False, highlight=False, soft_wrap=True)
    return 0


def _combine(options: Namespace, console: Console) -> int:
    from equisparse.adapters.arithmetic import describe_combination
    from equisparse.tasks.combine import combine

    base = _base_options(options)
    combined = combine(options.adapters, options.weights, base=options.base, out=options.out, **base)
    size = (
        f"{Path(options.out).stat().st_size:,} bytes, {combined.stored_values:,} stored values ({combined.format.name})"
    )
    text = f"written: {options.out} = {describe_combination(combined)}\n{size}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    return 0


def _diff(options: Namespace, console: Console) -> int:
    from equisparse.adapters.file import load_adapter
    from equisparse.report.terminal.differences import difference_tables

    files = (options.first, options.second)
    for part in difference_tables(files, *map(load_adapter, files)):
        console.print(part, highlight=False)
    return 0


def _base_options(options: Namespace) -> LoadOptions:
    """How the base model of a command is loaded."""
    return LoadOptions(
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
