"""Interactive figures from plain numbers; colours and fonts are the page's own."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from equisparse.quantities import all_quantities
from equisparse.report.paper.figures import AFTER, BEFORE, GREY
from equisparse.run.predictions import Floats, Integers

COLORS = (AFTER, BEFORE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's colours, one a run."""

_FEW = 3
"""Fewer points of a line than these are marked."""


def learning_curves(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[tuple[str, go.Figure]]:
    """Title and figure of each error, and of the changed fraction, against epochs.

    Parameters
    ----------
    runs : mapping
        Name of a run -> rows of its ``metrics.csv``.
    """
    for quantity in all_quantities():
        key, title = quantity.mae.name, f"{quantity.mae.title} ({quantity.mae.unit})"
        if any(f"valid_{key}" in row for rows in runs.values() for row in rows):
            lines = [(run, split, f"{split}_{key}") for run in runs for split in ("train", "valid")]
            yield title, _curves(runs, lines, title).update_yaxes(type="log")
    title = "changed weights (fraction of the model)"
    lines = [(run, "", "changed_fraction_model") for run in runs]
    yield title, _curves(runs, lines, title).update_yaxes(rangemode="tozero")


def parity(
    reference: Floats, before: Floats, after: Floats, *, unit: str, hover: Sequence[str], frames: Integers
) -> go.Figure:
    """Predictions against the reference, before and after.

    Parameters
    ----------
    reference, before, after : array, shape (n,)
        Labels and predictions.
    unit : str
        Of all three.
    hover : sequence of str
        What each point is.
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
) -> go.Figure:
    """Bars of several series side by side for each name."""
    figure = go.Figure(layout={"barmode": "group"})
    for place, (title, values) in enumerate(series.items()):
        figure.add_trace(go.Bar(x=list(names), y=list(values), name=title, marker_color=colors[place % len(colors)]))
    figure.update_xaxes(type="category", showgrid=False)
    return figure.update_yaxes(title_text=unit, rangemode="tozero")


def interval_bars(
    names: Sequence[str], values: Sequence[float], low: Sequence[float], high: Sequence[float], *, unit: str
) -> go.Figure:
    """Horizontal bars with intervals, first name on top."""
    spread = {
        "type": "data",
        "symmetric": False,
        "array": [top - value for top, value in zip(high, values, strict=True)],
        "arrayminus": [value - bottom for bottom, value in zip(low, values, strict=True)],
        "color": GREY,
    }
    figure = go.Figure(go.Bar(x=list(values), y=list(names), orientation="h", marker_color=AFTER, error_x=spread))
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(title_text=unit)
    return figure


def heatmap(
    values: NDArray[Any], columns: Sequence[str], rows: Sequence[str], *, unit: str, hover: Sequence[Sequence[str]]
) -> go.Figure:
    """A map; cells without a value are empty."""
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


def scan(name: str, rows: Sequence[Mapping[str, Any]], *, x: str, y: str) -> go.Figure:
    """Energies of base and fine-tuned model along one path.

    Parameters
    ----------
    name : str
        What is scanned.
    rows : sequence of mapping
        With ``x``, ``base`` and ``adapted``.
    x, y : str
        Titles of the axes.
    """
    figure = go.Figure()
    for title, column, color in (("base", "base", BEFORE), ("fine-tuned", "adapted", AFTER)):
        points = [row[column] for row in rows]
        figure.add_trace(go.Scatter(x=[row["x"] for row in rows], y=points, name=title, mode="lines", line_color=color))
    lowest = min(min(row["base"], row["adapted"]) for row in rows)
    figure.update_layout(title_text=name)
    figure.update_yaxes(title_text=y, range=[1.2 * lowest - 1, 3 * abs(lowest) + 10])  # walls are far higher
    return figure.update_xaxes(title_text=x)


def _curves(
    runs: Mapping[str, Sequence[Mapping[str, Any]]], lines: Sequence[tuple[str, str, str]], title: str
) -> go.Figure:
    """Lines of one panel, each given by run, split and column: colour by run, dots for training."""
    colors = dict(zip(runs, COLORS * len(runs), strict=False))
    figure = go.Figure()
    for run, split, column in lines:
        points = [(row["epoch"], row[column]) for row in runs[run] if row.get(column) is not None]
        label = " ".join(filter(None, (run if len(runs) > 1 else "", split)))
        color = GREY if len(runs) == 1 and split == "train" else colors[run]
        line = {"color": color, "dash": "dot" if split == "train" else "solid"}
        x, y = ([point[axis] for point in points] for axis in (0, 1))
        mode = "lines+markers" if len(points) < _FEW else "lines"
        figure.add_trace(go.Scatter(x=x, y=y, name=label, mode=mode, line=line, showlegend=len(lines) > 1))
    figure.update_xaxes(title_text="epoch")
    return figure.update_yaxes(title_text=title)


def _short(values: Floats) -> list[float]:
    """Values with six significant digits, to keep pages small."""
    return [float(f"{value:.6g}") for value in values]
