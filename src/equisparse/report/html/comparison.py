"""Sections of a page about several runs, side by side."""

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
from equisparse.report.statistics import GroupErrors, errors_by_element, errors_by_type
from equisparse.report.tables import number, percent
from equisparse.report.terminal.tables import layer_name, layer_order
from equisparse.run.folder import Run

_STABILITY = ("spearman", "spearman_null", "jaccard", "jaccard_expected", "jaccard_null")
_OTHER_FRAMES = "These runs were not judged on the same frames: their errors do not say which of them is better."


@dataclass(frozen=True)
class Comparison:
    """Runs to be compared.

    Parameters
    ----------
    runs : mapping of str to Run
        By name.
    stability : list of StabilityRow
        Empty where the changes cannot be compared.
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
    found: dict[str, Run] = {}
    for run in runs:
        if run.name in found:
            raise InputError(
                "Two runs have the same name.",
                given=f"{found[run.name].folder} and {run.folder}",
                expected="folders with different names",
            )
        found[run.name] = run
    return found


def overview(compared: Comparison) -> Markup:
    """One row a run: what it is, what it gained, what it costs; and its verdict."""
    header = ["run", "method", "changed", "adapter (bytes)", "training (s)", "verdict"]
    rows = []
    for name, run in compared.runs.items():
        metrics = run.metrics
        costs = [f"{metrics.adapter_bytes:,}", f"{metrics.seconds:,.0f}"]
        verdict = judgement(error_ratios(run))[1]
        rows.append([name, run.metrics.method, percent(metrics.changed_fraction_model), *costs, verdict])
    return elements.table(header, rows)


def errors(compared: Comparison) -> Markup:
    """Errors of all runs on each split; the smallest in bold."""
    splits = list(dict.fromkeys(split for run in compared.runs.values() for split in run.splits))
    rows = []
    for split in splits:
        for error in shown_errors():
            values = [run.metrics.final.get(split, {}).get(error.name) for run in compared.runs.values()]
            known = [value for value in values if value is not None]
            if known:
                rows.append([split, error.title, error.unit, *(_marked(value, min(known)) for value in values)])
    table = elements.table(["split", "error after fine-tuning", "unit", *compared.runs], rows)
    return table if _same_frames(compared) else elements.paragraph(_OTHER_FRAMES) + table


def curves(compared: Comparison) -> Markup | None:
    """Learning curves overlaid."""
    return learning_plots(compared.runs) if any(run.curve for run in compared.runs.values()) else None


def groups(compared: Comparison) -> Markup | None:
    """Force errors per element and per configuration type."""
    parts = []
    for title, group in (("element", errors_by_element), ("configuration type", errors_by_type)):
        found = {name: group(run.predictions) for name, run in compared.runs.items() if run.predictions}
        if any(found.values()):
            caption = f"Mean absolute force error per {title} after fine-tuning."
            parts.append(elements.plot(_group_bars(found), caption, height=320))
    return Markup("").join(parts) if parts else None


def layers(compared: Comparison) -> Markup | None:
    """Changed fraction per layer."""
    found = {name: _layer_shares(run) for name, run in compared.runs.items() if run.signatures}
    if not found:
        return None
    names = sorted({layer for shares in found.values() for layer in shares}, key=layer_order)
    series = {name: [shares.get(layer) for layer in names] for name, shares in found.items()}
    figure = plots.grouped_bars([layer_name(layer) for layer in names], series, unit="changed (%)")
    return elements.plot(figure, "Changed weights per layer, in percent of the layer's selected weights.", height=320)


def stability(compared: Comparison) -> Markup | None:
    """Whether the runs change the same weights, each number beside what chance gives."""
    if not compared.stability:
        return None
    header = ["runs", "Spearman of shares", "by chance", "Jaccard of supports", "mean by chance", "by chance"]
    rows = [
        [f"{row.first} and {row.second}", *(number(getattr(row, key)) for key in _STABILITY)]
        for row in compared.stability
    ]
    text = (
        "Spearman: rank correlation of the blocks' shares of the squared change; by chance: 97.5 % quantile with the "
        "blocks shuffled. Jaccard: weights changed in both over weights changed in either; by chance: mean and 97.5 % "
        "quantile with as many weights drawn at random within each block."
    )
    return elements.table(header, rows) + elements.paragraph(text)


def options(compared: Comparison) -> Markup:
    """Options that differ."""
    configs = [asdict(run.config) for run in compared.runs.values()]
    keys = [key for key in dict.fromkeys(key for config in configs for key in config) if key != "out"]
    differing = [key for key in keys if len({str(config.get(key)) for config in configs}) > 1]
    if not differing:
        return elements.paragraph("All options are the same.")
    return elements.table(["option", *compared.runs], [[key, *(str(c.get(key)) for c in configs)] for key in differing])


COMPARISONS: tuple[tuple[str, str, Callable[[Comparison], Markup | None]], ...] = (
    ("overview", "Overview", overview),
    ("errors", "Errors", errors),
    ("curves", "Learning curves", curves),
    ("groups", "Errors per element and type", groups),
    ("layers", "What changed", layers),
    ("stability", "Do they change the same weights?", stability),
    ("options", "Different options", options),
)
"""Anchor, title and maker of each section, from first to last."""


def _same_frames(compared: Comparison) -> bool:
    """Whether all runs were judged on the same labels, as far as they kept their predictions."""
    splits = [run.predictions for run in compared.runs.values() if run.predictions]
    return all(np.array_equal(split.labels[ENERGY], splits[0].labels[ENERGY], equal_nan=True) for split in splits)


def _marked(value: float | None, best: float) -> str | Markup:
    """A number, in bold if it is the best."""
    text = number(value, 4)
    return Markup("<strong>{}</strong>").format(text) if value == best else text


def _group_bars(found: Mapping[str, Sequence[GroupErrors]]) -> go.Figure:
    """Bars of the force error of each run for each group."""
    names = list(dict.fromkeys(group.name for rows in found.values() for group in rows))
    errors_of = {run: {group.name: group.force_after for group in rows} for run, rows in found.items()}
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
