"""Contribution of each part of the change: errors without this part, and with this part alone."""

from collections.abc import Sequence

from markupsafe import Markup
from scipy.stats import spearmanr

from equisparse.interpret.attribution import AttributionRow, ErrorName, Interval
from equisparse.report.html import elements, plots
from equisparse.report.layers import group_name
from equisparse.report.tables import attribution_table
from equisparse.run.folder import Run

_NOTE = (
    "Differences of mean absolute errors. Without it: error with this part reset to the base, minus the error of the "
    "whole change. It alone: error of the base with only this part changed, minus the error of the base."
)
_MOST = 25
_FEWEST, _AGREE = 4, 0.7
"""Smallest number of groups for a rank correlation; correlation above which two rankings count as equal."""
_UNITS: dict[ErrorName, str] = {"force": "meV/Angstrom", "energy": "meV/atom"}


def attribution(run: Run) -> Markup | None:
    """Bars and a table for each grouping."""
    if not run.attributions:
        return None
    return Markup("").join(_grouping(by, rows) for by, rows in run.attributions.items() if rows)


def _grouping(by: str, rows: Sequence[AttributionRow]) -> Markup:
    """One way of grouping."""
    error: ErrorName = "energy" if rows[0].without_force is None else "force"
    ordered = sorted(rows, key=lambda row: -_value(row.difference("without", error)))
    figure = _bars(by, ordered[:_MOST], error)
    caption = (
        f"Increase of the {error} error when the change of one {by} is reset to the base, on {rows[0].n_frames} "
        "validation frames, with 95 % confidence intervals over frames."
    )
    if len(rows) > _MOST:
        caption += f" The {_MOST} largest."
    numbers = elements.paragraph(_NOTE) + elements.table(attribution_table(by, ordered))
    return (
        Markup("<h3>By {}</h3>").format(by)
        + elements.plot(figure, caption, height=110 + 22 * min(len(rows), _MOST))
        + elements.paragraph(_agreement(rows, error))
        + elements.folded("All numbers", numbers)
    )


def _bars(by: str, rows: Sequence[AttributionRow], error: ErrorName) -> plots.Figure:
    """Increase of one error without each group, with intervals."""
    names, rises = [], []
    for row in rows:
        if (rise := row.difference("without", error)) is not None:
            names.append(group_name(by, row.group))
            rises.append(rise)
    return plots.interval_bars(names, rises, unit=f"increase of {error} MAE ({_UNITS[error]})")


def _agreement(rows: Sequence[AttributionRow], error: ErrorName) -> str:
    """Agreement of two rankings: by the loss without a group, and by the gain with it alone."""
    if len(rows) < _FEWEST:
        return ""
    losses = [_value(row.difference("without", error)) for row in rows]
    gains = [-_value(row.difference("alone", error)) for row in rows]
    rank = float(spearmanr(losses, gains).statistic)
    if rank > _AGREE:
        conclusion = "rank the parts in the same way: the parts act nearly independently"
    else:
        conclusion = "rank the parts differently: the effects of the parts depend on one another"
    return f"The losses without a part and the gains with the part alone {conclusion} (Spearman {rank:.2f})."


def _value(interval: Interval | None) -> float:
    """Value of an interval; 0 for None."""
    return 0.0 if interval is None else interval.value
