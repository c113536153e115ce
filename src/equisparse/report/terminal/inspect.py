"""Summary of an adapter and of its changes, for the terminal."""

from collections.abc import Iterator

from ase.data import chemical_symbols
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from equisparse.adapters.adapter import Adapter, SpinPart
from equisparse.adapters.arithmetic import describe_combination
from equisparse.adapters.extraction import EXTRACTED, describe_extraction
from equisparse.interpret.changes import ChangeRow, aggregate, change_table
from equisparse.report.layers import layer_sort_key
from equisparse.report.tables import totals_table
from equisparse.report.terminal.render import rich_table
from equisparse.wording import counted

_TOP_PATHS = 20


def inspect_tables(adapter: Adapter, file_bytes: int) -> Iterator[RenderableType]:
    """Tables that describe an adapter and its changes.

    Parameters
    ----------
    adapter : Adapter
    file_bytes : int
        Size of its file.
    """
    rows = change_table(adapter)
    yield _header(adapter, rows, file_bytes)
    layers = sorted(aggregate(rows, ("layer",)), key=lambda total: layer_sort_key(int(total.key[0])))
    yield rich_table(totals_table("Changed per layer", layers, ("layer",)))
    yield rich_table(totals_table("Changed per degree l", aggregate(rows, ("l",)), ("l",)))
    yield rich_table(totals_table("Changed per role", aggregate(rows, ("role",)), ("role",)))
    by = ("layer", "role", "path")
    paths = sorted(aggregate(rows, by), key=lambda total: -total.fraction)[:_TOP_PATHS]
    yield rich_table(totals_table(f"The {len(paths)} most changed paths", paths, by))


def _header(adapter: Adapter, rows: list[ChangeRow], file_bytes: int) -> Table:
    """Base, origin, size and reference energies of an adapter."""
    changed, selected = sum(row.n_changed for row in rows), sum(row.n_weights for row in rows)
    shifts = ", ".join(f"{chemical_symbols[z]} {shift:+.4f}" for z, shift in sorted(adapter.shifts.items()))
    lines = {
        **_made(adapter),
        "base": f"{adapter.base['source']} ({adapter.base['backbone']} {adapter.base['version']})",
        "sha256 of base": adapter.base["sha256"],
        "modality": adapter.modality or "none",
        "precision": adapter.dtype,
        "elements": " ".join(chemical_symbols[z] for z in adapter.elements) or "unknown",
        "file": f"{file_bytes:,} bytes, {counted(adapter.stored_values, 'stored value')}",
        "changed": f"{counted(changed, 'weight')}: {changed / adapter.layout.total_parameters:.3%} of the whole model, "
        f"{changed / selected:.3%} of the selected tensors",
        "reference energies": f"{shifts} eV" if shifts else "unchanged",
    } | ({} if adapter.spins is None else {"spin layer": _spin_line(adapter.spins)})
    table = Table(show_header=False, box=None)
    for key, value in lines.items():
        table.add_row(key, Text(value))  # a name in brackets is not markup
    return table


def _spin_line(spins: SpinPart) -> str:
    """Size and options of a spin layer."""
    chosen = ", ".join(f"{name}={value}" for name, value in spins.options.items() if value)
    return f"{counted(spins.n_values, 'value')}, not mergeable ({chosen})"


def _made(adapter: Adapter) -> dict[str, str]:
    """Origin of an adapter: a method with its options, a sum of other adapters, or a checkpoint."""
    if EXTRACTED in adapter.metrics:
        return {"extracted from": describe_extraction(adapter), "stored as": adapter.format.name}
    if adapter.trained_by is None:
        return {"sum of adapters": describe_combination(adapter) or "unknown", "stored as": adapter.format.name}
    options = ", ".join(f"{key}={value}" for key, value in adapter.trained_by.options.items() if value is not None)
    return {"method": f"{adapter.label} ({options})" if options else adapter.label, "stored as": adapter.format.name}
