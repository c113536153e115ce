"""Force error against the size of the adapter and against the changed weights: the cells of the table `sizes`."""

from pathlib import Path
from statistics import fmean

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter
from pivot import rows_of_cell
from tables import TABLES

FORCE = "force_mae_mev_per_ang"
AXES = {"adapter file (KB)": (10, 20_000), "changed weights (% of the model)": (0.05, 150)}
"""Title and range."""


def draw_sizes(out: Path) -> None:
    """Write the figure, if there is anything to draw."""
    points = []
    for cell in TABLES["sizes"]():
        if rows := rows_of_cell(cell):
            size = fmean(row["adapter_bytes"] for row in rows) / 1e3
            changed = 100 * fmean(row["changed_fraction_model"] for row in rows)
            points.append((cell.label, size, changed, fmean(row["test"][FORCE] for row in rows)))
    if not points:
        return
    figure = Figure(figsize=(10, 4), layout="constrained")
    families = list(dict.fromkeys(family_of(label) for label, *_ in points))
    panels = zip(figure.subplots(1, 2, sharey=True), (1, 2), AXES.items(), strict=True)
    for axis, column, (title, limits) in panels:
        for number, family in enumerate(families):
            own = sorted((point for point in points if family_of(point[0]) == family), key=lambda point: point[column])
            axis.plot([p[column] for p in own], [p[3] for p in own], "o-", color=f"C{number}", ms=5, label=family)
        axis.set(xscale="log", xlabel=title, xlim=limits)
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.3)
    figure.axes[0].set_ylabel("force error, ethanol (meV/Angstrom)")
    figure.legend(*figure.axes[1].get_legend_handles_labels(), loc="outside right center", frameon=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=160)


def family_of(label: str) -> str:
    """Method of a label, whatever its size."""
    return label.split()[0]
