"""Contribution of each part of the change: errors without it, and with it alone."""

from collections.abc import Sequence

from markupsafe import Markup
from scipy.stats import spearmanr

from equisparse.interpret.attribution import AttributionRow, ErrorName, Interval
from equisparse.report.html import elements, plots
from equisparse.report.layers import group_name
from equisparse.report.tables import attribution_table
from equisparse.run.folder import Run

_NOTE = (
    "Differences of mean absolute errors. Without it: the error with this part set back to the base, less the error of "
    "the whole change. It alone: the error of the base with only this part changed, less the error of the base."
)
_MOST = 25
_FEWEST, _AGREE = 4, 0.7
"""Groups needed for a rank correlation, and the correlation from which the two rankings count as equal."""
_UNITS: dict[ErrorName, str] = {"force": "meV/Angstrom", "energy": "meV/atom"}


def attribution(run: Run) -> Markup | None:
    """Bars and a table for everything that was attributed."""
    if not run.attributions:
        return None
    return Markup("").join(_grouping(by, rows) for by, rows in run.attributions.items() if rows)


def _grouping(by: str, rows: Sequence[AttributionRow]) -> Markup:
    """One way of grouping."""
    error: ErrorName = "energy" if rows[0].without_force is None else "force"
    ordered = sorted(rows, key=lambda row: -_value(row.difference("without", error)))
    figure = _bars(by, ordered[:_MOST], error)
    caption = (
        f"Rise of the {error} error when the change of one {by} is set back to the base, on {rows[0].n_frames} "
        "validation frames, with 95 % intervals over frames."
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
    """Rises of one error, with intervals."""
    names, rises = [], []
    for row in rows:
        if (rise := row.difference("without", error)) is not None:
            names.append(group_name(by, row.group))
            rises.append(rise)
    return plots.interval_bars(names, rises, unit=f"rise of {error} MAE ({_UNITS[error]})")


def _agreement(rows: Sequence[AttributionRow], error: ErrorName) -> str:
    """Whether the loss without a group and the gain with it alone rank the groups alike."""
    if len(rows) < _FEWEST:
        return ""
    losses = [_value(row.difference("without", error)) for row in rows]
    gains = [-_value(row.difference("alone", error)) for row in rows]
    rank = float(spearmanr(losses, gains).statistic)
    if rank > _AGREE:
        conclusion = "rank the parts alike: the parts act nearly independently"
    else:
        conclusion = "rank the parts differently: the parts act together, and neither ranking is the right one alone"
    return f"The loss without a part and the gain with it alone {conclusion} (Spearman {rank:.2f})."


def _value(interval: Interval | None) -> float:
    """The value; 0 where there is none."""
    return 0.0 if interval is None else interval.value
