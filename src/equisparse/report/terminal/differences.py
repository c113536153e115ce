"""Differences of two adapters, as tables for the terminal."""

from collections.abc import Iterator, Sequence

from ase.data import chemical_symbols
from rich import table as rich
from rich.console import RenderableType
from rich.text import Text

from equisparse.adapters.adapter import Adapter
from equisparse.interpret.difference import Difference, DifferenceRow, difference_table, differences
from equisparse.interpret.stability import StabilityRow, stability_table
from equisparse.report.layers import layer_name, layer_sort_key
from equisparse.report.table import Cell, Number, Table
from equisparse.report.terminal.render import rich_table
from equisparse.wording import counted

_TOP_PATHS = 20


def difference_tables(names: Sequence[str], first: Adapter, second: Adapter) -> Iterator[RenderableType]:
    """Tables of the differences of two adapters: in total, per layer, per path, and in reference energies.

    Raises
    ------
    InputError
        If they cannot be compared; see `equisparse.interpret.difference.difference_table`.
    """
    rows = difference_table(first, second)
    yield _legend(names, first, second)
    yield _table("All weights", [((), whole) for _, whole in differences(rows)], ())
    layers = sorted(differences(rows, ("layer",)), key=lambda group: layer_sort_key(int(group[0][0])))
    yield _table("Per layer", layers, ("layer",))
    yield _paths(rows)
    if first.layout == second.layout and any(row.n_first and row.n_second for row in rows):
        yield _chance(stability_table({"A": first, "B": second})[0])
    if first.shifts or second.shifts:
        yield _shifts(first, second)


def _legend(names: Sequence[str], first: Adapter, second: Adapter) -> rich.Table:
    """Files of the adapters A and B, and their base."""
    table = rich.Table(show_header=False, box=None)
    for letter, name, adapter in zip("AB", names, (first, second), strict=True):
        table.add_row(letter, Text(name), Text(f"{adapter.label}, {adapter.stored_values:,} stored values"))
    table.add_row("base", Text(first.base["source"]), Text(first.modality or ""))
    return table


def _paths(rows: Sequence[DifferenceRow]) -> rich.Table:
    """The paths that differ most."""
    by = ("layer", "role", "path")
    changed = [group for group in differences(rows, by) if group[1].n_first or group[1].n_second]
    most = sorted(changed, key=lambda group: -group[1].norm_difference)[:_TOP_PATHS]
    return _table(f"The {counted(len(most), 'path')} with the largest difference", most, by)


def _table(title: str, groups: Sequence[tuple[tuple[object, ...], Difference]], by: Sequence[str]) -> rich.Table:
    """Differences of groups of blocks."""
    rows: list[list[Cell]] = []
    for key, group in groups:
        names = [layer_name(value) if isinstance(value, int) else str(value) for value in key]
        only = [group.n_first - group.n_both, group.n_second - group.n_both, group.n_both]
        shares = [Number(_known(group.jaccard), "{:.3f}"), Number(_known(group.cosine), "{:+.3f}")]
        norms = [Number(norm, "{:.3g}") for norm in (group.norm_first, group.norm_second, group.norm_difference)]
        rows.append([*names, *only, *shares, *norms])
    header = [*by, "only A", "only B", "both", "Jaccard", "cosine", "|A|", "|B|", "|A - B|"]
    return rich_table(Table(header, rows, title))


def _chance(row: StabilityRow) -> Text:
    """Agreement of the changes, compared with the agreement by chance."""
    return Text(
        f"Jaccard index {row.jaccard:.3f}; by chance (as many weights drawn at random within each block) "
        f"{row.jaccard_expected:.3f}, 97.5 % quantile {row.jaccard_null:.3f}. Rank correlation of the blocks' shares "
        f"of the change {row.spearman:+.2f}; 97.5 % quantile by chance (blocks shuffled) {row.spearman_null:+.2f}."
    )


def _shifts(first: Adapter, second: Adapter) -> rich.Table:
    """Shifts of the reference energies side by side; zero where an adapter has none."""
    rows: list[list[Cell]] = []
    for z in sorted({*first.shifts, *second.shifts}):
        one, two = first.shifts.get(z, 0.0), second.shifts.get(z, 0.0)
        rows.append([chemical_symbols[z], *(Number(value, "{:+.4f}") for value in (one, two, one - two))])
    return rich_table(Table(["element", "A", "B", "A - B"], rows, "Reference energies (eV)"))


def _known(value: float) -> float | None:
    """The value; None for NaN."""
    return None if value != value else value
