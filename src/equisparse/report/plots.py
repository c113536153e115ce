"""Interactive figures from plain numbers; colours and fonts are the page's own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from equisparse.report.figures import AFTER, BEFORE, CURVES, GREY
from equisparse.report.predictions import Floats, Integers

COLORS = (AFTER, BEFORE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's colours, one a run."""


def learning_curves(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> go.Figure:
    """Errors and changed fraction against epochs.

    Parameters
    ----------
    runs : mapping
        Name of a run -> rows of its ``metrics.csv``.
    """
    shown = [
        (key, title) for key, title in CURVES if any(f"valid_{key}" in row for rows in runs.values() for row in rows)
    ]
    panels = [(f"{split}_{key}", title, split) for key, title in shown for split in ("train", "valid")]
    figure = make_subplots(rows=1, cols=len(shown) + 1, horizontal_spacing=0.09)
    for place, (name, rows) in enumerate(runs.items()):
        for key, title, split in panels:
            column = 1 + [shown_title for _, shown_title in shown].index(title)
            style = _curve_style(place, split, name if len(runs) > 1 else "")
            _curve(figure, column, rows, key, title, style | {"showlegend": column == 1})
        style = _curve_style(place, "valid", name if len(runs) > 1 else "") | {"showlegend": False}
        shares = [row | {"changed": 100 * row["changed_fraction_model"]} for row in map(dict, rows)]
        _curve(figure, len(shown) + 1, shares, "changed", "changed weights (% of the model)", style)
    figure.update_xaxes(title_text="epoch")
    for column in range(1, len(shown) + 1):
        figure.update_yaxes(type="log", row=1, col=column)
    figure.update_yaxes(rangemode="tozero", row=1, col=len(shown) + 1)
    return figure


def parity(
    reference: Floats, before: Floats, after: Floats, *, unit: str, hover: Sequence[str], frames: Integers
) -> go.Figure:
    """Errors of predictions against the reference, before and after.

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


def grouped_bars(names: Sequence[str], series: Mapping[str, Sequence[float | None]], *, unit: str) -> go.Figure:
    """Bars of several series side by side for each name."""
    figure = go.Figure(layout={"barmode": "group"})
    colors = (BEFORE, AFTER) if len(series) == 2 else COLORS
    for (title, values), color in zip(series.items(), colors * len(series), strict=False):
        figure.add_trace(go.Bar(x=list(names), y=list(values), name=title, marker_color=color))
    figure.update_yaxes(title_text=unit, rangemode="tozero")
    return figure


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


def _curve(
    figure: go.Figure, column: int, rows: Sequence[Mapping[str, Any]], key: str, title: str, style: dict[str, Any]
) -> None:
    """One line of one panel."""
    points = [(row["epoch"], row[key]) for row in rows if row.get(key) is not None]
    x, y = ([point[axis] for point in points] for axis in (0, 1))
    mode = "lines+markers" if len(points) < 3 else "lines"
    figure.add_trace(go.Scatter(x=x, y=y, mode=mode, **style), row=1, col=column)
    figure.update_yaxes(title_text=title, row=1, col=column)


def _curve_style(place: int, split: str, run: str) -> dict[str, Any]:
    """Colour by run, dashes by split; one run alone is grey in training."""
    color = COLORS[place % len(COLORS)] if run or split == "valid" else GREY
    label = f"{run} {split}".strip()
    return {
        "name": label,
        "legendgroup": label,
        "line": {"color": color, "dash": "dot" if split == "train" else "solid"},
    }


def _short(values: Floats) -> list[float]:
    """Values with six significant digits, to keep pages small."""
    return [float(f"{value:.6g}") for value in values]
