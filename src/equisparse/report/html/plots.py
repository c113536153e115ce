"""Interactive figures; the page sets fonts and the colours of text and axes."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from equisparse.interpret.attribution import Interval
from equisparse.report.curves import CurvePanel
from equisparse.report.paper.figures import AFTER, BEFORE, GREY
from equisparse.report.sparsity import SparsityPanel
from equisparse.robustness.scans import ScanPoint
from equisparse.run.predictions import Floats, Integers

Figure: TypeAlias = go.Figure
"""An interactive figure."""

COLORS = (AFTER, BEFORE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours of Okabe and Ito, one per run."""

_FEW = 3
"""Lines with fewer points are drawn with markers."""

_FEW_TICKS = 10
"""Up to this number of epochs, every epoch has a tick."""


def learning_curve(panel: CurvePanel) -> Figure:
    """One panel of learning curves: colour by run, dots for training."""
    runs = list(dict.fromkeys(run for run, _ in panel.lines))
    figure = go.Figure()
    for (run, split), points in panel.lines.items():
        label = " ".join(filter(None, (run if len(runs) > 1 else "", split)))
        color = GREY if len(runs) == 1 and split == "train" else COLORS[runs.index(run) % len(COLORS)]
        figure.add_trace(
            go.Scatter(
                x=[epoch for epoch, _ in points],
                y=[value for _, value in points],
                name=label,
                mode="lines+markers" if len(points) < _FEW else "lines",
                line={"color": color, "dash": "dot" if split == "train" else "solid"},
                showlegend=len(panel.lines) > 1,
            )
        )
    few = max((len(points) for points in panel.lines.values()), default=0) <= _FEW_TICKS
    figure.update_xaxes(title_text="epoch", dtick=1 if few else None)
    if panel.logarithmic:
        return figure.update_yaxes(title_text=panel.title, type="log")
    return figure.update_yaxes(title_text=panel.title, rangemode="tozero")


def sparsity(panel: SparsityPanel) -> Figure:
    """One error against the changed weights in percent of the model, with the error of the base as a line."""
    fractions = [100 * point.changed_fraction_model for point in panel.points]
    figure = go.Figure(
        go.Scatter(
            x=fractions,
            y=[point.value for point in panel.points],
            customdata=[[point.changed_count, point.adapter_bytes / 1000] for point in panel.points],
            hovertemplate="%{y:.4g}<br>%{customdata[0]:,} weights, %{customdata[1]:.1f} kB",
            mode="lines+markers",
            line={"color": AFTER},
            name="fine-tuned",
        )
    )
    if panel.base is not None:
        line = {"color": BEFORE, "dash": "dash"}
        figure.add_trace(
            go.Scatter(
                x=[fractions[0], fractions[-1]], y=[panel.base, panel.base], mode="lines", line=line, name="base"
            )
        )
    labels = [f"{fraction:.2g}" for fraction in fractions]
    figure.update_xaxes(title_text="changed weights (% of the model)", type="log", tickvals=fractions, ticktext=labels)
    return figure.update_yaxes(title_text=panel.title, type="log")


def parity(
    reference: Floats, before: Floats, after: Floats, *, unit: str, hover: Sequence[str], frames: Integers
) -> Figure:
    """Predictions against the reference, before and after.

    Parameters
    ----------
    reference, before, after : array, shape (n,)
        Labels and predictions.
    unit : str
        Unit of all three.
    hover : sequence of str
        Description of each point.
    frames : array of int, shape (n,)
        Frame of each point, for clicks.
    """
    low, high = float(reference.min()), float(reference.max())
    figure = go.Figure(
        go.Scatter(x=[low, high], y=[low, high], mode="lines", line_color=GREY, showlegend=False, hoverinfo="skip")
    )
    for values, name, color in ((before, "base", BEFORE), (after, "fine-tuned", AFTER)):
        figure.add_trace(
            go.Scatter(
                x=_short(reference),
                y=_short(values),
                mode="markers",
                name=name,
                marker={"color": color, "size": 5, "opacity": 0.6},
                text=list(hover),
                customdata=frames.tolist(),
                hovertemplate=f"%{{text}}<br>reference %{{x}}<br>{name} %{{y}} {unit}<extra></extra>",
            )
        )
    figure.update_xaxes(title_text=f"reference ({unit})")
    figure.update_yaxes(title_text=f"predicted ({unit})")
    return figure


def grouped_bars(
    names: Sequence[str], series: Mapping[str, Sequence[float | None]], *, unit: str, colors: Sequence[str] = COLORS
) -> Figure:
    """Bars of several series side by side for each name."""
    figure = go.Figure(layout={"barmode": "group"})
    for place, (title, values) in enumerate(series.items()):
        figure.add_trace(go.Bar(x=list(names), y=list(values), name=title, marker_color=colors[place % len(colors)]))
    figure.update_xaxes(type="category", showgrid=False)
    return figure.update_yaxes(title_text=unit, rangemode="tozero")


def interval_bars(names: Sequence[str], intervals: Sequence[Interval], *, unit: str) -> Figure:
    """Horizontal bars with intervals; the first name is on top."""
    values = [interval.value for interval in intervals]
    spread = {
        "type": "data",
        "symmetric": False,
        "array": [interval.high - interval.value for interval in intervals],
        "arrayminus": [interval.value - interval.low for interval in intervals],
        "color": GREY,
    }
    figure = go.Figure(go.Bar(x=values, y=list(names), orientation="h", marker_color=AFTER, error_x=spread))
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(title_text=unit)
    return figure


def heatmap(
    values: NDArray[np.float64],
    columns: Sequence[str],
    rows: Sequence[str],
    *,
    unit: str,
    hover: Sequence[Sequence[str]],
) -> Figure:
    """Heat map; cells without a value are empty."""
    cells = [[None if np.isnan(value) else float(f"{value:.4g}") for value in line] for line in values]
    figure = go.Figure(
        go.Heatmap(
            z=cells,
            x=list(columns),
            y=list(rows),
            text=[list(line) for line in hover],
            hovertemplate="%{text}<extra></extra>",
            colorscale="Cividis",
            colorbar={"title": {"text": unit, "side": "right"}, "thickness": 12},
            xgap=1,
            ygap=1,
            hoverongaps=False,
        )
    )
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    figure.update_xaxes(type="category", tickangle=-60, showgrid=False)
    return figure


def scan(name: str, rows: Sequence[ScanPoint], *, x: str, y: str) -> Figure:
    """Energies of base and fine-tuned model along one path.

    Parameters
    ----------
    name : str
        Title of the plot.
    rows : sequence of ScanPoint
    x, y : str
        Titles of the axes.
    """
    figure = go.Figure()
    base, adapted = [row.base for row in rows], [row.adapted for row in rows]
    for title, energies, color in (("base", base, BEFORE), ("fine-tuned", adapted, AFTER)):
        figure.add_trace(go.Scatter(x=[row.x for row in rows], y=energies, name=title, mode="lines", line_color=color))
    lowest = min(*base, *adapted)
    figure.update_layout(title_text=name)
    figure.update_yaxes(title_text=y, range=[1.2 * lowest - 1, 3 * abs(lowest) + 10])  # repulsive walls are cut off
    return figure.update_xaxes(title_text=x)


def _short(values: Floats) -> list[float]:
    """Values with six significant digits, to keep pages small."""
    return [float(f"{value:.6g}") for value in values]
