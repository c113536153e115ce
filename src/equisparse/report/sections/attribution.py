"""What each part of the change does: errors without it, and with it alone."""

from markupsafe import Markup
from scipy.stats import spearmanr

from equisparse.report import html, plots
from equisparse.report.run import Row, Run
from equisparse.report.text import layer_name

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
    rows = [row | {"group": layer_name(row["group"]) if by == "layer" else str(row["group"])} for row in rows]
    ordered = sorted(rows, key=lambda row: -row["without_force"])
    shown = ordered[:_MOST]
    figure = plots.interval_bars(
        [row["group"] for row in shown],
        [row["without_force"] for row in shown],
        [row["without_force_low"] for row in shown],
        [row["without_force_high"] for row in shown],
        unit="rise of the force MAE without it (meV/Angstrom)",
    )
    caption = (
        f"Rise of the force error when the change of one {by} is set back to the base, on {rows[0]['n_frames']} "
        f"validation frames, with 95 % intervals over frames." + (f" The {_MOST} largest." if len(rows) > _MOST else "")
    )
    header = [
        "group",
        "changed weights",
        "force, without it",
        "force, it alone",
        "energy, without it",
        "energy, it alone",
    ]
    lines = [
        [
            row["group"],
            f"{row['n_changed']:,}",
            *(_interval(row, name) for name in ("without_force", "alone_force", "without_energy", "alone_energy")),
        ]
        for row in ordered
    ]
    note = "Differences of mean absolute errors: without it against the whole change; it alone against the base."
    return (
        Markup("<h3>By {}</h3>").format(by)
        + html.plot(figure, caption, height=110 + 22 * len(shown))
        + html.paragraph(_agreement(rows))
        + html.folded("All numbers (meV/Angstrom and meV/atom)", html.paragraph(note) + html.table(header, lines))
    )


def _agreement(rows: list[Row]) -> str:
    """Whether the two orders of the groups, by loss without and by gain alone, agree."""
    if len(rows) < _FEWEST:
        return ""
    rank = float(spearmanr([row["without_force"] for row in rows], [-row["alone_force"] for row in rows]).statistic)
    if rank > _AGREE:
        verdict = "the same order: the parts act nearly independently"
    else:
        verdict = "different orders: the parts act together, and no single order of them is the right one"
    return f"What is lost without a part and what it brings alone give {verdict} (Spearman {rank:.2f})."


def _interval(row: Row, name: str) -> str:
    """Such as ``1.2 (0.9 to 1.5)``."""
    if row[name] is None:
        return "-"
    return f"{row[name]:+.3g} ({row[f'{name}_low']:+.2g} to {row[f'{name}_high']:+.2g})"
