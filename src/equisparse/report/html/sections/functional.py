"""Changes of the outputs of the layers, per degree l and per element."""

import numpy as np
from ase.data import chemical_symbols
from markupsafe import Markup

from equisparse.interpret.functional import FunctionalRow
from equisparse.report.html import elements, plots
from equisparse.report.layers import layer_name, layer_sort_key
from equisparse.report.table import percent
from equisparse.run.folder import Run


def functional(run: Run) -> Markup | None:
    """Map of relative changes, by module, degree and element."""
    if not run.functional:
        return None
    rows = sorted(run.functional, key=lambda row: layer_sort_key(row.layer))
    modules = list(dict.fromkeys(_module(row) for row in rows))
    columns = sorted({(row.l, row.element or 0, _column(row)) for row in rows})
    names = [column for *_, column in columns]
    values = np.full((len(modules), len(names)), np.nan)
    hover = [["" for _ in names] for _ in modules]
    for row in rows:
        y, x = modules.index(_module(row)), names.index(_column(row))
        if row.relative_change is not None:
            values[y, x] = 100 * row.relative_change
        hover[y][x] = f"{modules[y]}<br>{names[x]}: {percent(row.relative_change)}"
    figure = plots.heatmap(values, names, modules, unit="relative change (%)", hover=hover)
    caption = (
        "Relative change of the output of each module on a few validation frames, by degree l and by the element of "
        "the atom. The output of a module also changes because its input changes."
    )
    return elements.plot(figure, caption, height=160 + 26 * len(modules), width=300 + 26 * len(names))


def _module(row: FunctionalRow) -> str:
    """Layer and module."""
    name = row.tensor.removesuffix(".weight").removesuffix(".linear")
    return f"{layer_name(row.layer)}: {name}"


def _column(row: FunctionalRow) -> str:
    """Degree and element."""
    parity = "e" if row.parity == 1 else "o"
    return f"{row.l}{parity} {chemical_symbols[row.element] if row.element else 'all atoms'}"
