"""Errors on every split, parity plots, and errors per element and per configuration type."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from markupsafe import Markup

from equisparse.report.html import elements, plots
from equisparse.report.html.sections.structures import frame_origin
from equisparse.report.paper.figures import AFTER, BEFORE
from equisparse.report.parity import parity_points
from equisparse.report.statistics import GroupErrors, errors_by_element, errors_by_type
from equisparse.report.tables import error_table, errors_note, group_table
from equisparse.run.folder import Run
from equisparse.run.predictions import Floats, Integers, SplitPredictions

_WORST, _RANDOM = 400, 1600
"""Numbers of points with the largest errors and of random points in a parity plot with more points than that."""


def accuracy(run: Run) -> Markup:
    """Error table, parity plots, errors per group."""
    note = errors_note(run.metrics)
    table = replace(error_table(run.metrics), title="")
    parts = [elements.table(table), elements.paragraph(f"{note[0].upper()}{note[1:]}.")]
    if split := run.predictions:
        parts.append(Markup('<div class="pair">{}</div>').format(Markup("").join(_parity(split, run.judged))))
        parts += _groups(errors_by_element(split), "element", "atoms")
        parts += _groups(errors_by_type(split), "configuration type", "frames")
    return Markup("").join(parts)


def _parity(split: SplitPredictions, name: str) -> Iterator[Markup]:
    """One parity plot per quantity with labels."""
    for points in parity_points(split):
        errors = [abs(predicted - points.reference) for predicted in (points.before, points.after)]
        shown = points.at(_chosen(np.maximum(*errors)))
        frames, quantity = shown.frames(split), points.quantity
        labels = [frame_origin(split, frame) for frame in frames]
        hover = ["<br>".join(filter(None, pair)) for pair in zip(labels, shown.names(split), strict=True)]
        figure = plots.parity(
            shown.reference, shown.before, shown.after, unit=quantity.plot_unit, hover=hover, frames=frames
        )
        base = "" if quantity.before.startswith("base") else f"; base: the {quantity.before}"
        counted = "components" if quantity.shape else "frames"
        sampling = _sampling(len(frames), len(points.reference), counted)
        caption = f"{points.title.capitalize()}, {name} frames{base}. {sampling}"
        yield elements.plot(figure, caption, height=440, hook="parity")


def _groups(groups: list[GroupErrors], title: str, counted: str) -> Iterator[Markup]:
    """Bars of force errors and a table of all errors per group."""
    if not groups:
        return
    yield Markup("<h3>Errors per {}</h3>").format(title)
    forces = [group for group in groups if group.force_after is not None]
    if forces:
        series = {"base": [g.force_before for g in forces], "fine-tuned": [g.force_after for g in forces]}
        figure = plots.grouped_bars(
            [g.name for g in forces], series, unit="force MAE (meV/Angstrom)", colors=(BEFORE, AFTER)
        )
        yield elements.plot(figure, f"Mean absolute force error per {title}, before and after fine-tuning.", height=320)
    yield elements.table(group_table(groups, title, counted))


def _chosen(errors: Floats) -> Integers:
    """Indices of the worst points and of a random sample of the others, in increasing order; all if there are few."""
    if len(errors) <= _WORST + _RANDOM:
        return np.arange(len(errors))
    order = np.argsort(-errors, kind="stable")
    rest = np.random.default_rng(0).choice(order[_WORST:], _RANDOM, replace=False)
    return np.sort(np.concatenate([order[:_WORST], rest]))


def _sampling(shown: int, total: int, what: str) -> str:
    """Note on the sample of points, and on clicks."""
    sample = (
        f"{shown:,} of {total:,} {what}: the {_WORST} with the largest errors and a random sample of the others. "
        if shown < total
        else ""
    )
    return f"{sample}Click on a point to view its frame below, if it is among the frames with the largest errors."
