"""The map of changes, layer by path, down to single entries."""

from collections import defaultdict
from typing import Any

import numpy as np
from markupsafe import Markup

from equisparse.interpret.signatures import SignatureRow
from equisparse.report.html import elements, plots
from equisparse.report.layers import layer_name, layer_sort_key
from equisparse.report.table import number, percent
from equisparse.report.tables import change_table
from equisparse.run.folder import Run

MEASURES = {
    "fraction": ("Fraction of changed weights", "changed (%)", 100.0),
    "relative_norm": ("Relative norm of the change", "relative norm (%)", 100.0),
    "one_minus_r2": (
        "1 - R\u00b2: fraction of the variance of the new weights that the old weights do not explain",
        "1 - R\u00b2",
        1.0,
    ),
}
"""Column of the signatures -> its name, the title of its colour bar, and a factor."""

_DETAIL = Markup(
    '<div class="controls"><label>Block <select id="block"></select></label></div>'
    '<div id="block-detail" aria-live="polite"></div>'
)


def changes(run: Run) -> Markup | None:
    """Maps of all measures, details of one block, and the elements."""
    rows = run.block_signatures
    if not rows:
        return None
    parts = [elements.paragraph(_summary(rows))]
    for key, (name, unit, factor) in MEASURES.items():
        figure = _map(rows, key, unit, factor)
        caption = f"{name}, by layer and path. Click on a cell to view its blocks below."
        height, width = 240 + 34 * len(_layers(rows)), 160 + 26 * len(set(map(column_of, rows)))
        content = elements.plot(figure, caption, height=height, width=width, hook="changes")
        parts.append(content if key == "fraction" else elements.folded(name, content))
    parts += [
        Markup("<h3>Single blocks and their weights</h3>"),
        _DETAIL,
        elements.json_data(_details(run, rows), "blocks"),
    ]
    return Markup("").join([*parts, _elements(run)])


def column_of(row: SignatureRow) -> str:
    """Role and path, which name a column of the map."""
    return f"{row.role.replace('_', ' ')} {row.path}"


def _summary(rows: list[SignatureRow]) -> str:
    """Blocks with most changes, in words."""
    total, changed = sum(row.n_weights for row in rows), sum(row.n_changed for row in rows)
    shares: dict[str, int] = defaultdict(int)
    for row in rows:
        shares[column_of(row)] += row.n_changed
    first = sorted(shares, key=lambda name: -shares[name])[:3]
    named = ", ".join(f"{name} ({percent(shares[name] / max(changed, 1))})" for name in first)
    return f"{changed:,} of {total:,} selected weights changed. Most of these changes are in {named}."


def _layers(rows: list[SignatureRow]) -> list[int]:
    """Layers from the embedding to the readout."""
    return sorted({row.layer for row in rows}, key=layer_sort_key)


def _map(rows: list[SignatureRow], key: str, unit: str, factor: float) -> Any:
    """Map of one measure; a cell with several blocks shows their mean, weighted by their numbers of weights."""
    layers = _layers(rows)
    columns = sorted({(row.role, row.l, column_of(row)) for row in rows})
    names = [column for *_, column in columns]
    cells: dict[tuple[int, int], list[SignatureRow]] = defaultdict(list)
    for row in rows:
        cells[layers.index(row.layer), names.index(column_of(row))].append(row)
    values = np.full((len(layers), len(names)), np.nan)
    hover = [["" for _ in names] for _ in layers]
    for (y, x), members in cells.items():
        known = [row for row in members if getattr(row, key) is not None]
        if known:
            weights = [row.n_weights for row in known]
            values[y, x] = factor * np.average([getattr(row, key) for row in known], weights=weights)
        counts = f"{sum(row.n_changed for row in members):,} of {sum(row.n_weights for row in members):,} changed"
        hover[y][x] = f"{layer_name(layers[y])}: {names[x]}<br>{unit} {values[y, x]:.3g}<br>{counts}"
    return plots.heatmap(values, names, [layer_name(layer) for layer in layers], unit=unit, hover=hover)


def _details(run: Run, rows: list[SignatureRow]) -> list[dict[str, Any]]:
    """Numbers and largest entries of every block, for the script of the page."""
    entries: dict[int, list[list[Any]]] = defaultdict(list)
    for row in run.entries:
        entries[row.block].append([row.position, float(f"{row.base:.4g}"), float(f"{row.change:.4g}")])
    return [
        {
            "layer": layer_name(row.layer),
            "column": column_of(row),
            "name": f"{row.tensor}, {row.path}",
            "numbers": _numbers(row),
            "entries": entries[row.block],
            "map": _levels(run.maps.get(row.block)),
        }
        for row in rows
    ]


def _numbers(row: SignatureRow) -> dict[str, str]:
    """Names and values of the signature of one block."""
    return {
        "changed": f"{row.n_changed:,} of {row.n_weights:,} ({percent(row.fraction)})",
        "relative norm of the change": percent(row.relative_norm),
        "1 - R\u00b2": number(row.one_minus_r2),
        "sign balance (1: all increase, -1: all decrease)": number(row.sign_balance),
        "largest change": number(row.largest),
    }


def _levels(grid: Any) -> list[list[float]] | None:
    """Pooled map with three significant digits."""
    return None if grid is None else [[float(f"{value:.3g}") for value in line] for line in grid]


def _elements(run: Run) -> Markup:
    """Signatures per element of tensors that have an element axis."""
    rows = run.element_signatures
    if not rows:
        return Markup("")
    changed = sum(row.n_changed for row in rows)
    absent = sum(row.n_changed for row in rows if row.element not in run.metrics.reference_shifts_ev)
    text = f"{percent(absent / changed)} of these changes belong to elements that are not in the training frames."
    return (
        Markup("<h3>Changes that belong to one element</h3>")
        + elements.paragraph(text)
        + elements.table(change_table(rows))
    )
