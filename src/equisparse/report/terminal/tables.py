"""Tables for the terminal and for log files."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ase.data import chemical_symbols
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from equisparse.adapters.adapter import Adapter, SpinPart
from equisparse.adapters.arithmetic import describe_combination
from equisparse.interpret.changes import ChangeRow, aggregate, change_table
from equisparse.quantities import shown_errors
from equisparse.robustness.verdict import Check
from equisparse.run.metrics import Metrics

_TOP_PATHS = 20
_STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red"}


def error_table(metrics: Metrics) -> Table:
    """Base, base with refitted reference energies, and fine-tuned, side by side."""
    table = Table(title="Errors", title_justify="left")
    for title in ("split", "error", "unit"):
        table.add_column(title)
    for title in ("base", "base, references refitted", "fine-tuned", "fine-tuned / refitted"):
        table.add_column(title, justify="right")
    for split in metrics.splits:
        for error in shown_errors():
            values = [errors[split].get(error.name) for errors in metrics.stages.values()]
            if values[2] is not None:
                shown = [_number(value, error.format) for value in values]
                table.add_row(split, error.title, error.unit, *shown, _ratio(values[2], values[1]))
        table.add_section()
    return table


def worse_line(before: Mapping[str, float | None], after: Mapping[str, float | None]) -> str | None:
    """A line of advice about the errors that training raised on one split; None if there are none.

    Parameters
    ----------
    before, after : mapping
        Name of the error -> value or None, of the base with refitted reference energies and of the result.
    """
    raised = [
        f"{error.title} {_number(before[error.name], error.format)} -> {_number(after[error.name], error.format)} "
        f"{error.unit}"
        for error in shown_errors()
        if error.kind == "mae" and (after.get(error.name) or 0.0) > (before.get(error.name) or math.inf)
    ]
    return (
        f"caution    training raised errors: {', '.join(raised)}. Try half the learning rate (--lr)" if raised else None
    )


def metrics_table(metrics: Mapping[str, float | None]) -> Table:
    """Errors of one model on one data set; `metrics` maps the name of an error to its value or None."""
    table = Table(title="Errors", title_justify="left")
    for title in ("error", "value", "unit"):
        table.add_column(title, justify="right" if title == "value" else "left")
    for error in shown_errors():
        if metrics.get(error.name) is not None:
            table.add_row(error.title, _number(metrics[error.name], error.format), error.unit)
    return table


def orders_table(rows: Sequence[tuple[float, float, float, int, str]], n_orders: int) -> Table:
    """Magnetic orders, the lowest first.

    Parameters
    ----------
    rows : sequence of (energy, net, largest, count, signs)
        Energy above the lowest (eV/atom), net and largest moment (muB), equivalent sign patterns, and the signs.
    n_orders : int
        Of which `rows` are the first.
    """
    shown = f"the lowest {len(rows)} of {n_orders}" if n_orders > len(rows) else f"all {n_orders}"
    table = Table(title=f"Magnetic orders, {shown}", title_justify="left")
    for title in ("rank", "meV/atom", "net moment (muB)", "largest (muB)", "equivalent"):
        table.add_column(title, justify="right")
    table.add_column("signs")
    for rank, (energy, net, largest, count, signs) in enumerate(rows, 1):
        table.add_row(str(rank), f"{1e3 * energy:.2f}", f"{net:.2f}", f"{largest:.2f}", str(count), signs)
    return table


def probe_table(checks: Sequence[Check]) -> Table:
    """The verdict on robustness."""
    table = Table(title="Robustness", title_justify="left")
    for title in ("test", "verdict", "finding", "limits"):
        table.add_column(title, overflow="fold")
    for check in checks:
        level = Text(check.level, style=_STYLES[check.level])
        table.add_row(check.test, level, Text(check.finding), check.limits)
    return table


def inspect_tables(adapter: Adapter, file_bytes: int) -> Iterator[RenderableType]:
    """What an adapter is and what it changes.

    Parameters
    ----------
    adapter : Adapter
    file_bytes : int
        Size of its file.
    """
    rows = change_table(adapter)
    yield _header(adapter, rows, file_bytes)
    layers = sorted(aggregate(rows, ("layer",)), key=lambda row: layer_order(row["layer"]))
    yield _changes("Changed per layer", layers, ("layer",))
    for title, by in (("order l", "l"), ("role", "role")):
        yield _changes(f"Changed per {title}", aggregate(rows, (by,)), (by,))
    paths = sorted(aggregate(rows, ("layer", "role", "path")), key=lambda row: -row["fraction"])[:_TOP_PATHS]
    yield _changes(f"The {len(paths)} most changed paths", paths, ("layer", "role", "path"))


def layer_name(layer: int) -> str:
    """Layer as people say it: the embedding is before the first, the readout after the last."""
    return {-1: "embedding", -2: "readout"}.get(layer, str(layer))


def layer_order(layer: int) -> tuple[bool, int]:
    """Key that sorts layers from the embedding to the readout."""
    return layer == -2, layer


def _header(adapter: Adapter, rows: list[ChangeRow], file_bytes: int) -> Table:
    """Everything of an adapter that is no weight."""
    changed, selected = sum(row.n_changed for row in rows), sum(row.n_weights for row in rows)
    shifts = ", ".join(f"{chemical_symbols[z]} {shift:+.4f}" for z, shift in sorted(adapter.shifts.items()))
    lines = {
        **_made(adapter),
        "base": f"{adapter.base['source']} ({adapter.base['backbone']} {adapter.base['version']})",
        "sha256 of base": adapter.base["sha256"],
        "modality": adapter.modality or "none",
        "precision": adapter.dtype,
        "elements": " ".join(chemical_symbols[z] for z in adapter.elements),
        "file": f"{file_bytes:,} bytes, {adapter.stored_values:,} stored values",
        "changed": f"{changed:,} weights: {changed / adapter.layout.total_parameters:.3%} of the whole model, "
        f"{changed / selected:.3%} of the selected tensors",
        "reference energies": f"{shifts} eV" if shifts else "unchanged",
    } | ({} if adapter.spins is None else {"spin layer": _spin_line(adapter.spins)})
    table = Table(show_header=False, box=None)
    for key, value in lines.items():
        table.add_row(key, Text(value))  # a name in brackets is no markup
    return table


def _spin_line(spins: SpinPart) -> str:
    """Size and options of a spin layer."""
    chosen = ", ".join(f"{name}={value}" for name, value in spins.options.items() if value)
    return f"{spins.n_values:,} values, not mergeable ({chosen})"


def _made(adapter: Adapter) -> dict[str, str]:
    """How an adapter came about: by a method with its options, or as a sum of others."""
    if adapter.trained_by is None:
        return {"sum of adapters": describe_combination(adapter) or "unknown", "stored as": adapter.format.name}
    options = ", ".join(f"{key}={value}" for key, value in adapter.trained_by.options.items() if value is not None)
    return {"method": f"{adapter.label} ({options})" if options else adapter.label, "stored as": adapter.format.name}


def _changes(title: str, rows: list[dict[str, Any]], by: tuple[str, ...]) -> Table:
    """Aggregated changes."""
    table = Table(title=title, title_justify="left")
    for name in by:
        table.add_column(name)
    for name in ("weights", "changed", "fraction", "rms change", "largest"):
        table.add_column(name, justify="right")
    for row in rows:
        keys = [layer_name(row[name]) if name == "layer" else str(row[name]) for name in by]
        counts = (f"{row['n_weights']:,}", f"{row['n_changed']:,}", f"{row['fraction']:.2%}")
        table.add_row(*map(Text, keys), *counts, f"{row['rms_change']:.2e}", f"{row['largest']:.3f}")
    return table


def _number(value: float | None, text: str) -> str:
    """Formatted, or a dash."""
    return "-" if value is None else text.format(value)


def _ratio(value: float | None, reference: float | None) -> str:
    """Such as ``0.31``."""
    return f"{value / reference:.2f}" if value is not None and reference else "-"
