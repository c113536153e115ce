"""Sections of a page that compares several runs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup

from equisparse.errors import InputError
from equisparse.interpret.stability import StabilityRow
from equisparse.quantities import ENERGY, shown_errors
from equisparse.report.html import elements, plots
from equisparse.report.html.sections.learning import learning_plots
from equisparse.report.html.sections.verdict import error_ratios, judgement
from equisparse.report.layers import layer_name, layer_sort_key
from equisparse.report.statistics import GroupErrors, errors_by_element, errors_by_type
from equisparse.report.table import Cell, Number, Percent, Table
from equisparse.run.folder import Run

_OTHER_FRAMES = "These runs were not evaluated on the same frames, so their errors cannot be compared."


@dataclass(frozen=True)
class Comparison:
    """Runs to be compared.

    Parameters
    ----------
    runs : mapping of str to Run
        Name of a run -> run.
    stability : list of StabilityRow
        Agreement of the changes of each pair of runs; empty if the changes cannot be compared.
    """

    runs: Mapping[str, Run]
    stability: list[StabilityRow]


def named(runs: Iterable[Run]) -> dict[str, Run]:
    """Runs by name.

    Raises
    ------
    InputError
        If two have the same name.
    """
    by_name: dict[str, Run] = {}
    for run in runs:
        if run.name in by_name:
            raise InputError(
                "Two runs have the same name.",
                given=f"{by_name[run.name].folder} and {run.folder}",
                expected="folders with different names",
            )
        by_name[run.name] = run
    return by_name


def overview(compared: Comparison) -> Markup:
    """Method, size, cost and verdict of each run."""
    header = ["run", "method", "changed", "adapter (bytes)", "training (s)", "verdict"]
    rows: list[list[Cell]] = []
    for name, run in compared.runs.items():
        metrics, verdict = run.metrics, judgement(error_ratios(run))[1]
        changed, seconds = Percent(metrics.changed_fraction_model), Number(metrics.seconds, "{:,.0f}")
        rows.append([name, metrics.method, changed, metrics.adapter_bytes, seconds, verdict])
    return elements.table(Table(header, rows))


def errors(compared: Comparison) -> Markup:
    """Errors of all runs on each split; the smallest in bold."""
    splits = list(dict.fromkeys(split for run in compared.runs.values() for split in run.splits))
    rows: list[list[Cell]] = []
    for split in splits:
        for error in shown_errors():
            values = [run.metrics.final.get(split, {}).get(error.name) for run in compared.runs.values()]
            known = [value for value in values if value is not None]
            if known:
                cells = [Number(value, error.format, best=value == min(known)) for value in values]
                rows.append([split, error.title, error.unit, *cells])
    table = elements.table(Table(["split", "error after fine-tuning", "unit", *compared.runs], rows))
    return table if _same_frames(compared) else elements.paragraph(_OTHER_FRAMES) + table


def curves(compared: Comparison) -> Markup | None:
    """Learning curves overlaid."""
    return learning_plots(compared.runs) if any(run.curve for run in compared.runs.values()) else None


def groups(compared: Comparison) -> Markup | None:
    """Force errors per element and per configuration type."""
    plots_of = []
    for title, group in (("element", errors_by_element), ("configuration type", errors_by_type)):
        grouped = {name: group(run.predictions) for name, run in compared.runs.items() if run.predictions}
        if any(grouped.values()):
            caption = f"Mean absolute force error per {title} after fine-tuning."
            plots_of.append(elements.plot(_group_bars(grouped), caption, height=320))
    return Markup("").join(plots_of) if plots_of else None


def layers(compared: Comparison) -> Markup | None:
    """Changed fraction per layer."""
    shares_of = {name: _layer_shares(run) for name, run in compared.runs.items() if run.signatures}
    if not shares_of:
        return None
    names = sorted({layer for shares in shares_of.values() for layer in shares}, key=layer_sort_key)
    series = {name: [shares.get(layer) for layer in names] for name, shares in shares_of.items()}
    figure = plots.grouped_bars([layer_name(layer) for layer in names], series, unit="changed (%)")
    return elements.plot(figure, "Changed weights per layer, in percent of the layer's selected weights.", height=320)


def stability(compared: Comparison) -> Markup | None:
    """Agreement of the changed weights of the runs, compared with the agreement by chance."""
    if not compared.stability:
        return None
    header = [
        "runs",
        "rank correlation of the blocks' shares",
        "97.5 % quantile by chance",
        "Jaccard index of the changed weights",
        "mean by chance",
        "97.5 % quantile by chance",
    ]
    rows: list[list[Cell]] = []
    for pair in compared.stability:
        shares = [Number(pair.spearman), Number(pair.spearman_null)]
        supports = [Number(pair.jaccard), Number(pair.jaccard_expected), Number(pair.jaccard_null)]
        rows.append([f"{pair.first} and {pair.second}", *shares, *supports])
    text = (
        "The rank correlation (Spearman) compares the blocks' shares of the squared change. Chance: shuffled blocks. "
        "The Jaccard index is the number of weights that both runs change, divided by the number that at least one "
        "changes. Chance: as many weights are drawn at random within each block."
    )
    return elements.table(Table(header, rows)) + elements.paragraph(text)


def options(compared: Comparison) -> Markup:
    """Options in which the runs differ."""
    configs = [asdict(run.config) for run in compared.runs.values()]
    keys = [key for key in dict.fromkeys(key for config in configs for key in config) if key != "out"]
    differing = [key for key in keys if len({str(config.get(key)) for config in configs}) > 1]
    if not differing:
        return elements.paragraph("All options are the same.")
    rows = [[key, *(str(config.get(key)) for config in configs)] for key in differing]
    return elements.table(Table(["option", *compared.runs], rows))


COMPARISONS: tuple[tuple[str, str, Callable[[Comparison], Markup | None]], ...] = (
    ("overview", "Overview", overview),
    ("errors", "Errors", errors),
    ("curves", "Learning curves", curves),
    ("groups", "Errors per element and type", groups),
    ("layers", "What changed", layers),
    ("stability", "Agreement of the changed weights", stability),
    ("options", "Options that differ", options),
)
"""Anchor, title and function of each section, in order."""


def _same_frames(compared: Comparison) -> bool:
    """Tell whether all runs with stored predictions were evaluated on the same labels."""
    splits = [run.predictions for run in compared.runs.values() if run.predictions]
    return all(np.array_equal(split.labels[ENERGY], splits[0].labels[ENERGY], equal_nan=True) for split in splits)


def _group_bars(grouped: Mapping[str, Sequence[GroupErrors]]) -> go.Figure:
    """Bars of the force error of each run for each group."""
    names = list(dict.fromkeys(group.name for rows in grouped.values() for group in rows))
    errors_of = {run: {group.name: group.force_after for group in rows} for run, rows in grouped.items()}
    series = {run: [values.get(name) for name in names] for run, values in errors_of.items()}
    return plots.grouped_bars(names, series, unit="force MAE (meV/Angstrom)")


def _layer_shares(run: Run) -> dict[int, float]:
    """Changed fraction of each layer, in percent."""
    counts: dict[int, list[int]] = {}
    for row in run.block_signatures:
        sums = counts.setdefault(row.layer, [0, 0])
        sums[0] += row.n_changed
        sums[1] += row.n_weights
    return {layer: 100 * changed / total for layer, (changed, total) in counts.items()}
