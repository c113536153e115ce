"""Figures of properties: equations of state, phonon bands, and frequencies of molecules."""

from collections.abc import Sequence

import plotly.graph_objects as go

from equisparse.observables.rows import (
    BASE,
    FINE_TUNED,
    BandPoint,
    Model,
    PropertyRow,
    RadialPoint,
    Source,
    VolumePoint,
)
from equisparse.report.html.plots import Figure
from equisparse.report.paper.figures import AFTER, BEFORE, GREY

_COLORS: dict[Model, str] = {BASE: BEFORE, FINE_TUNED: AFTER}
_SPECIAL = {"G": "\u0393"}
"""Names of special points that are written otherwise."""


def volumes(rows: Sequence[VolumePoint], reference: float | None) -> Figure:
    """Energy against volume of both models, with a line at a reference volume (Angstrom^3/atom)."""
    figure = go.Figure()
    for model, color in _COLORS.items():
        own = [row for row in rows if row.model == model]
        x, y = [row.volume_ang3_per_atom for row in own], [row.energy_mev_per_atom for row in own]
        figure.add_trace(
            go.Scatter(x=x, y=y, name=model, mode="lines+markers", line={"color": color, "shape": "spline"})
        )
    if reference is not None:
        figure.add_vline(reference, line={"color": GREY, "dash": "dash"}, annotation_text="reference")
    figure.update_xaxes(title_text="volume (\u00c5\u00b3/atom)")
    return figure.update_yaxes(title_text="energy above the lowest (meV/atom)")


def bands(rows: Sequence[BandPoint]) -> Figure:
    """Phonon bands of one or both models along one path; gaps in the path are lines between two names."""
    figure = go.Figure()
    for model, color in _COLORS.items():
        own = [row for row in rows if row.model == model]
        for branch in sorted({row.branch for row in own}):
            x, y = _broken([row for row in own if row.branch == branch])
            figure.add_trace(
                go.Scatter(
                    x=x,
                    y=y,
                    name=model,
                    legendgroup=model,
                    showlegend=branch == 0,
                    mode="lines",
                    line={"color": color, "width": 1.5},
                    hovertemplate="%{y:.2f} THz",
                )
            )
    ticks = special_points(rows)
    figure.update_xaxes(tickvals=list(ticks), ticktext=list(ticks.values()), title_text="wave vector")
    return figure.update_yaxes(title_text="frequency (THz)", zeroline=True)


def radial(rows: Sequence[RadialPoint]) -> Figure:
    """Radial distribution functions of both models and of frames."""
    figure = go.Figure()
    colors: dict[Source, str] = {"frames": GREY, BASE: BEFORE, FINE_TUNED: AFTER}
    for source, color in colors.items():
        own = [row for row in rows if row.source == source]
        x, y = [row.distance_ang for row in own], [row.value for row in own]
        if own:
            figure.add_trace(go.Scatter(x=x, y=y, name=source, mode="lines", line={"color": color, "width": 1.5}))
    figure.update_xaxes(title_text="distance (\u00c5)")
    return figure.update_yaxes(title_text="density over mean density", rangemode="tozero")


def special_points(rows: Sequence[BandPoint]) -> dict[float, str]:
    """Names of the special points by their place on the path; both names where the path has a gap."""
    names: dict[float, list[str]] = {}
    for row in rows:
        if row.label:
            known, name = names.setdefault(row.x, []), _SPECIAL.get(row.label, row.label)
            known += [] if name in known else [name]
    return {x: " | ".join(labels) for x, labels in names.items()}


def frequencies(rows: Sequence[PropertyRow]) -> Figure:
    """Frequencies of the vibrations of a molecule by their index, with reference values if there are any."""
    figure = go.Figure()
    indices = list(range(1, len(rows) + 1))
    series = {
        BASE: ([row.base for row in rows], BEFORE, "circle-open"),
        FINE_TUNED: ([row.adapted for row in rows], AFTER, "circle"),
        "reference": ([row.reference for row in rows], GREY, "line-ew-open"),
    }
    for name, (values, color, symbol) in series.items():
        if any(value is not None for value in values):
            marker = {"color": color, "symbol": symbol, "size": 9}
            figure.add_trace(go.Scatter(x=indices, y=values, name=name, mode="markers", marker=marker))
    figure.update_xaxes(title_text="vibration")
    return figure.update_yaxes(title_text="frequency (1/cm)")


def _broken(rows: Sequence[BandPoint]) -> tuple[list[float], list[float | None]]:
    """Places and frequencies of one band, with a break where the path has a gap."""
    x: list[float] = []
    y: list[float | None] = []
    last = ""
    for row in rows:
        if row.label and last and row.label != last and x and row.x == x[-1]:
            x, y = [*x, row.x], [*y, None]
        x, y = [*x, row.x], [*y, row.frequency_thz]
        last = row.label
    return x, y
