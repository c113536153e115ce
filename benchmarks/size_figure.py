"""Force error on ethanol against the size of the adapter and the changed weights, at two lengths of training."""

from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter
from pivot import rows_of_cell
from tables import TABLES

FORCE = "force_mae_mev_per_ang"
AXES = {"adapter file (KB)": (10, 20_000), "changed weights (% of the model)": (0.05, 150)}
"""Title and range."""
LENGTHS = {"sizes": ("300 steps", "o--", 0.45), "long": ("1000 steps", "o-", 1.0)}
"""Table -> length of training, and style and opacity of its points."""


class Point(NamedTuple):
    """One cell: its table and method, size of the file (KB), changed weights (%), and force error (meV/A)."""

    table: str
    method: str
    size: float
    changed: float
    error: float


def draw_sizes(out: Path) -> None:
    """Write the figure, if there is anything to draw."""
    points = [point for table in LENGTHS for point in points_of(table)]
    if not points:
        return
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = zip(figure.subplots(1, 2, sharey=True), ("size", "changed"), AXES.items(), strict=True)
    for axis, column, (title, limits) in panels:
        draw(axis, points, column)
        axis.set(xscale="log", xlabel=title, xlim=limits)
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.3)
    figure.axes[0].set_ylabel("force error, ethanol (meV/Angstrom)")
    figure.legend(*figure.axes[1].get_legend_handles_labels(), loc="outside right center", frameon=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=160)


def draw(axis: Axes, points: list[Point], column: str) -> None:
    """Draw one line a method and length of training; a method has one colour."""
    methods = list(dict.fromkeys(point.method for point in points))
    for table, (length, style, opacity) in LENGTHS.items():
        for number, method in enumerate(methods):
            own = [point for point in points if (point.table, point.method) == (table, method)]
            own.sort(key=lambda point: getattr(point, column))
            if own:
                values = [getattr(point, column) for point in own]
                errors, label = [point.error for point in own], f"{method}, {length}"
                axis.plot(values, errors, style, color=f"C{number}", alpha=opacity, ms=5, label=label)


def points_of(table: str) -> list[Point]:
    """Points of all cells of a table that were run."""
    points = []
    for cell in TABLES[table]():
        if rows := rows_of_cell(cell):
            size = fmean(row["adapter_bytes"] for row in rows) / 1e3
            changed = 100 * fmean(row["changed_fraction_model"] for row in rows)
            error = fmean(row["test"][FORCE] for row in rows)
            points.append(Point(table, cell.label.split()[0], size, changed, error))
    return points
