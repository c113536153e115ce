"""Figures for papers and pages, drawn without a model, torch or global state of Matplotlib."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter
from numpy.typing import NDArray

from equisparse.files import replacing
from equisparse.interpret.signatures import SignatureRow
from equisparse.quantities import Quantity
from equisparse.report.curves import CurvePanel, curve_panels
from equisparse.report.layers import layer_name, layer_sort_key
from equisparse.report.parity import ParityPoints
from equisparse.report.sparsity import SparsityPanel
from equisparse.training.epochs import Epoch

Floats = NDArray[np.float64]
Pair = tuple[float, float]

BEFORE, AFTER, GREY = "#D55E00", "#0072B2", "#666666"
"""Colours of Okabe and Ito, which colour-blind readers can distinguish."""

_FEW_EPOCHS = 3
"""Lines with fewer epochs are drawn with points."""
_MANY_POINTS = 4000


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the suffix of `path` selects the format (``.png``, ``.svg``, ``.pdf``)."""
    FigureCanvasAgg(figure)
    with replacing(path) as file:
        figure.savefig(file, dpi=160, format=path.suffix[1:])


def learning_curve(epochs: Sequence[Epoch]) -> Figure:
    """Errors and changed weights against epochs."""
    panels = curve_panels({"": epochs})
    figure = Figure(figsize=(3.6 * len(panels), 3.2), layout="constrained")
    for axis, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _curves(axis, panel)
    return _clean(figure)


def sparsity(panels: Sequence[SparsityPanel]) -> Figure:
    """Errors against changed weights, with the error of the base as a line."""
    figure = Figure(figsize=(3.6 * len(panels), 3.2), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, panel in zip(axes, panels, strict=True):
        fractions = [100 * point.changed_fraction_model for point in panel.points]
        axis.plot(fractions, [point.value for point in panel.points], "o-", color=AFTER, label="fine-tuned")
        if panel.base is not None:
            axis.axhline(panel.base, color=BEFORE, linestyle="--", label="base")
        axis.set(xscale="log", yscale="log", xlabel="changed weights (% of the model)", ylabel=panel.title)
        axis.set_xticks(fractions, [f"{fraction:.2g}" for fraction in fractions], minor=False)
        axis.xaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(ScalarFormatter())
        axis.yaxis.set_minor_locator(NullLocator())
        axis.legend(frameon=False)
    return _clean(figure)


def _curves(axis: Axes, panel: CurvePanel) -> None:
    """Lines of one panel: dashed for training."""
    for (_, split), points in panel.lines.items():
        color, style = (GREY, "--") if split == "train" else (AFTER, "-")
        x, y = [epoch for epoch, _ in points], [value for _, value in points]
        axis.plot(x, y, style, color=color, label=split, marker="." if len(points) < _FEW_EPOCHS else "")
    axis.set(yscale="log" if panel.logarithmic else "linear", ylabel=panel.title, xlabel="epoch")
    if panel.logarithmic:
        axis.yaxis.set_major_formatter(ScalarFormatter())
        axis.yaxis.set_minor_formatter(ScalarFormatter())
    else:
        axis.set_ylim(0, None)
    if len(panel.lines) > 1:
        axis.legend(frameon=False)


def parity(points: ParityPoints, *, label: str) -> Figure:
    """Prediction against reference, before and after fine-tuning.

    Parameters
    ----------
    points : ParityPoints
        Labels, and predictions of the base (with shifted reference energies) and of the fine-tuned model.
    label : str
        Name of the split.
    """
    figure = Figure(figsize=(7.6, 3.8), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    titles = (points.quantity.before, "fine-tuned")
    for axis, values, title, color in zip(axes, (points.before, points.after), titles, (BEFORE, AFTER), strict=True):
        _cloud(axis, points.reference, values, color)
        axis.set(title=f"{title}, {label}", xlabel=f"reference {points.axis}", aspect="equal")
        text = _errors(points.quantity, values - points.reference)
        axis.text(0.04, 0.96, text, transform=axis.transAxes, va="top")
    axes[0].set_ylabel(f"predicted {points.axis}")
    return _clean(figure)


def change_map(rows: Sequence[SignatureRow]) -> Figure:
    """Changed fraction of each layer and kind of weight as a map, and of each layer and each degree l as bars.

    Parameters
    ----------
    rows : sequence of SignatureRow
        One per block.
    """
    layers = sorted({row.layer for row in rows}, key=layer_sort_key)
    kinds = sorted({(row.role, row.l) for row in rows})
    figure = Figure(figsize=(11, 0.42 * len(layers) + 2.6), layout="constrained")
    grid, per_layer, per_degree = figure.subplots(1, 3, width_ratios=(3, 1, 1))
    share = np.array([[_share(rows, layer=layer, role=role, l=degree) for role, degree in kinds] for layer in layers])
    image = grid.imshow(100 * share, cmap="Blues", aspect="auto", vmin=0)
    for (y, x), value in np.ndenumerate(share):
        if np.isfinite(value):
            dark = value > 0.6 * np.nanmax(share)
            text = f"{100 * value:.2g}" if value else "0"
            grid.text(x, y, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    grid.set_xticks(range(len(kinds)), [f"{role}\nl={degree}" for role, degree in kinds], rotation=60, fontsize=7)
    grid.set_yticks(range(len(layers)), [layer_name(layer) for layer in layers])
    grid.set_ylabel("layer")
    figure.colorbar(image, ax=grid, label="changed (% of the block's weights)")
    _bars(per_layer, [layer_name(layer) for layer in layers], [_share(rows, layer=layer) for layer in layers], "layer")
    degrees = sorted({row.l for row in rows})
    _bars(per_degree, [str(degree) for degree in degrees], [_share(rows, l=degree) for degree in degrees], "degree l")
    return _clean(figure)


def before_after_bars(groups: Sequence[tuple[str, float, float]], unit: str) -> Figure:
    """Errors of groups before and after, side by side.

    Parameters
    ----------
    groups : sequence of (name, before, after)
    unit : str
        Name and unit of the error.
    """
    figure = Figure(figsize=(1.6 + 0.9 * len(groups), 3.2), layout="constrained")
    axis = figure.subplots()
    places = np.arange(len(groups))
    for shift, column, title, color in ((-0.2, 1, "base", BEFORE), (0.2, 2, "fine-tuned", AFTER)):
        axis.bar(places + shift, [group[column] for group in groups], 0.4, label=title, color=color)
    axis.set_xticks(places, [group[0] for group in groups])
    axis.set_ylabel(unit)
    axis.legend(frameon=False)
    return _clean(figure)


def reliability(panels: Sequence[tuple[str, Sequence[Pair], Sequence[Pair], str]], *, label: str) -> Figure:
    """Errors of an ensemble against its spread, before and after scaling.

    Parameters
    ----------
    panels : sequence of (unit, raw, scaled, text)
        Quantity with its unit; root mean square spread and error of each bin, for the raw and for the scaled spread;
        and text of the legend.
    label : str
        Name of the split.
    """
    figure = Figure(figsize=(4.2 * len(panels), 4), layout="constrained")
    for axis, (unit, raw, scaled, text) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        values = np.array([*raw, *scaled])
        low, high = 0.8 * float(values[values > 0].min()), 1.25 * float(values.max())
        axis.plot([low, high], [low, high], color=GREY, linewidth=0.8)
        for points, color, name in ((raw, BEFORE, "unscaled"), (scaled, AFTER, "scaled")):
            axis.plot(*np.array(points).T, ".-", color=color, linewidth=0.8, label=name)
        axis.set(xscale="log", yscale="log", xlabel=f"spread of {unit}", ylabel="RMSE", aspect="equal", title=label)
        axis.set(xlim=(low, high), ylim=(low, high))
        for side in (axis.xaxis, axis.yaxis):
            side.set_major_locator(LogLocator(subs=(1, 2, 5)))
            side.set_major_formatter("{x:g}")
            side.set_minor_locator(NullLocator())
        axis.legend(
            title=text, title_fontsize=8, fontsize=8, frameon=False, loc="lower right"
        )  # where points are rare: unscaled spreads are too small
    return _clean(figure)


def interval_bars(bars: Sequence[tuple[str, float, float, float]], unit: str) -> Figure:
    """Horizontal bars with intervals, largest on top.

    Parameters
    ----------
    bars : sequence of (name, value, low, high)
    unit : str
        Name and unit of the values.
    """
    ordered = sorted(bars, key=lambda bar: bar[1])
    figure = Figure(figsize=(6.4, 0.8 + 0.3 * len(bars)), layout="constrained")
    axis = figure.subplots()
    values, low, high = (np.array([bar[column] for bar in ordered]) for column in (1, 2, 3))
    spread = np.maximum(np.stack([values - low, high - values]), 0.0)
    axis.barh([bar[0] for bar in ordered], values, xerr=spread, color=AFTER, ecolor=GREY, capsize=3)
    axis.axvline(0.0, color=GREY, linewidth=0.8)
    axis.set_xlabel(unit)
    return _clean(figure)


def _share(rows: Sequence[SignatureRow], **chosen: int | str) -> float:
    """Changed fraction of the blocks whose fields have the chosen values; NaN if there is none."""
    members = [row for row in rows if all(getattr(row, name) == value for name, value in chosen.items())]
    total = sum(row.n_weights for row in members)
    return sum(row.n_changed for row in members) / total if total else float("nan")


def _bars(axis: Axes, names: list[str], shares: list[float], title: str) -> None:
    """Horizontal bars of shares in percent, first name on top."""
    axis.barh(names, [100 * share for share in shares], color=AFTER)
    axis.invert_yaxis()
    axis.set(xlabel="changed (%)", ylabel=title)


def _cloud(axis: Axes, x: Floats, y: Floats, color: str) -> None:
    """Points around the identity, as a density if there are many."""
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    axis.plot([low, high], [low, high], color=GREY, linewidth=0.8, zorder=3)
    if len(x) > _MANY_POINTS:
        axis.hexbin(x, y, gridsize=70, bins="log", cmap="Oranges" if color == BEFORE else "Blues", mincnt=1)
    else:
        axis.plot(x, y, ".", color=color, markersize=4, alpha=0.6, rasterized=True)


def _errors(quantity: Quantity, difference: Floats) -> str:
    """MAE and RMSE of components as text; `difference` in the unit of plots."""
    shown, scaled = quantity.mae, difference / quantity.plot_factor * quantity.mae.factor
    mae, rmse = float(np.abs(scaled).mean()), float(np.sqrt((scaled**2).mean()))
    return f"MAE {shown.format.format(mae)}\nRMSE {shown.format.format(rmse)} {shown.unit}"


def _clean(figure: Figure) -> Figure:
    """Remove the top and right frame lines."""
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure
