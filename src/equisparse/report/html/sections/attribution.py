"""What each part of the change does: errors without it, and with it alone."""

from markupsafe import Markup
from scipy.stats import spearmanr

from equisparse.report.html import elements, plots
from equisparse.report.tables import attribution_table, group_name
from equisparse.run.folder import Row, Run

_NOTE = "Differences of mean absolute errors: without it against the whole change; it alone against the base."
_MOST = 25
_FEWEST, _AGREE = 4, 0.7
"""Groups needed for a rank correlation, and what counts as agreement."""


def attribution(run: Run) -> Markup | None:
    """Bars and a table for everything that was attributed."""
    if not run.attributions:
        return None
    return Markup("").join(_group(by, rows) for by, rows in run.attributions.items())


def _group(by: str, rows: list[Row]) -> Markup:
    """One way of grouping."""
    error = "force" if rows[0]["without_force"] is not None else "energy"
    unit = {"force": "meV/Angstrom", "energy": "meV/atom"}[error]
    ordered = sorted(rows, key=lambda row: -row[f"without_{error}"])
    shown = ordered[:_MOST]
    figure = plots.interval_bars(
        [group_name(by, row["group"]) for row in shown],
        *([row[f"without_{error}{limit}"] for row in shown] for limit in ("", "_low", "_high")),
        unit=f"rise of {error} MAE ({unit})",
    )
    caption = (
        f"Rise of the {error} error when the change of one {by} is set back to the base, on {rows[0]['n_frames']} "
        f"validation frames, with 95 % intervals over frames." + (f" The {_MOST} largest." if len(rows) > _MOST else "")
    )
    numbers = elements.paragraph(_NOTE) + elements.table(*attribution_table(by, ordered))
    return (
        Markup("<h3>By {}</h3>").format(by)
        + elements.plot(figure, caption, height=110 + 22 * len(shown))
        + elements.paragraph(_agreement(rows, error))
        + elements.folded("All numbers", numbers)
    )


def _agreement(rows: list[Row], error: str) -> str:
    """Whether the two orders of the groups, by loss without and by gain alone, agree."""
    if len(rows) < _FEWEST:
        return ""
    losses, gains = ([sign * row[f"{kind}_{error}"] for row in rows] for kind, sign in (("without", 1), ("alone", -1)))
    rank = float(spearmanr(losses, gains).statistic)
    if rank > _AGREE:
        verdict = "the same order: the parts act nearly independently"
    else:
        verdict = "different orders: the parts act together, and no single order of them is the right one"
    return f"What is lost without a part and what it brings alone give {verdict} (Spearman {rank:.2f})."
