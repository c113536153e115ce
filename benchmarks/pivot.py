"""Tables of the cells of `tables.py`, means over the seeds that are there: a column a method, or a line a cell.

In bold is what no other cell of its line beats, among those with as many seeds or more, over the seeds that both have.
A list of cells shows the seeds that all of them have.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from accuracy import RESULTS, row_of
from tables import TABLES, Cell, arguments_of

SEEDS = (0, 1, 2)
Metrics = Mapping[str, float | None]

COLUMNS = {
    "mae": ("force_mae_mev_per_ang", "energy_mae_mev_per_atom", "stress_mae_gpa"),
    "rmse": ("force_rmse_mev_per_ang", "energy_rmse_mev_per_atom", "stress_rmse_gpa"),
}
"""Kind of error -> its names in the results: force, energy, stress."""
DIGITS = (1, 2, 3)
SIZES = ("changed_fraction_model", "stored_values", "adapter_bytes")
ZERO_SHOT = "zero-shot"
"""Column of the base with refitted reference energies."""


def rows_of_cell(cell: Cell) -> list[dict[str, Any]]:
    """Rows of a cell, one for each seed that was run."""
    found = []
    for seed in SEEDS:
        arguments = arguments_of(cell, seed)
        arguments.results = RESULTS
        found.append(row_of(arguments))
    return [row for row in found if row is not None]


def pivot_lines(table: str, kind: str = "mae") -> Iterator[str]:
    """Lines of a Markdown table of errors; the least of a line in bold."""
    cells = [(cell, rows_of_cell(cell)) for cell in TABLES[table]()]
    if not any(rows for _, rows in cells):
        return
    labels = [*dict.fromkeys(cell.label for cell, rows in cells if rows), ZERO_SHOT]
    yield f"| set | {' | '.join(labels)} |"
    yield "|---" * (len(labels) + 1) + "|"
    for data in dict.fromkeys(cell.data for cell, rows in cells if rows):
        rows = {cell.label: rows for cell, rows in cells if cell.data == data and rows}
        for test in tests_of(rows):
            texts = marked(rows, test, kind)
            if test == "test":
                unchanged = errors_of(next(iter(rows.values()))[:1], ZERO_SHOT, kind)
                texts[ZERO_SHOT] = " / ".join(map(as_text, unchanged, DIGITS))
            name = data if test == "test" else f"{data}, {test}"
            yield f"| {name} | {' | '.join(texts.get(label, '') for label in labels)} |"


def list_lines(table: str) -> Iterator[str]:
    """Lines of a Markdown table with a line a cell: label, changed and stored weights, file size, errors."""
    cells = of_common_seeds({cell.label: rows for cell in TABLES[table]() if (rows := rows_of_cell(cell))})
    if not cells:
        return
    yield "| | changed | stored values | adapter bytes | errors |"
    yield "|---|---|---|---|---|"
    texts = marked(cells, "test", "mae")
    for label, rows in cells.items():
        changed, stored, size = (fmean(row[key] for row in rows) for key in SIZES)
        yield f"| {label} | {100 * changed:.2f}% | {stored:,.0f} | {size:,.0f} | {texts[label]} |"


def tests_of(rows: Mapping[str, Sequence[dict[str, Any]]]) -> list[str]:
    """Names of the tests of a data set."""
    others = [row.get("other_tests", {}) for found in rows.values() for row in found]
    return ["test", *dict.fromkeys(itertools.chain(*others))]


def errors_of(rows: Sequence[dict[str, Any]], test: str, kind: str) -> list[list[float]]:
    """Errors of every seed: force (meV/A), energy (meV/atom) and, if there are labels, stress (GPa)."""
    named = [row["other_tests"] | {"test": row["test"], ZERO_SHOT: row["refit_test"]} for row in rows]
    metrics: list[Metrics] = [each[test] for each in named]
    columns = [[value for each in metrics if (value := each.get(name)) is not None] for name in COLUMNS[kind]]
    return columns if columns[-1] else columns[:-1]


def of_common_seeds(rows: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Rows of the seeds that all labels have; all rows if there is no such seed."""
    seeds = [{row["cell"]["seed"] for row in found} for found in rows.values()]
    common = set.intersection(*seeds) if seeds else set()
    return {
        label: [row for row in found if not common or row["cell"]["seed"] in common] for label, found in rows.items()
    }


def marked(rows: Mapping[str, Sequence[dict[str, Any]]], test: str, kind: str) -> dict[str, str]:
    """Errors of every label as text, the unbeaten ones in bold."""
    texts = {}
    for label, own in rows.items():
        parts = []
        for column, (seeds, digits) in enumerate(zip(errors_of(own, test, kind), DIGITS, strict=False)):
            outcomes = [beats(other, own, test, kind, column) for name, other in rows.items() if name != label]
            unbeaten = False in outcomes and True not in outcomes
            parts.append(f"**{as_text(seeds, digits)}**" if unbeaten else as_text(seeds, digits))
        texts[label] = " / ".join(parts)
    return texts


def beats(
    other: Sequence[dict[str, Any]], own: Sequence[dict[str, Any]], test: str, kind: str, column: int
) -> bool | None:
    """Whether an error of `other` is less, as printed, over the seeds that both have; None if it says nothing.

    Rows of fewer seeds say nothing about those of more.
    """
    common = {row["cell"]["seed"] for row in own} & {row["cell"]["seed"] for row in other}
    theirs, ours = (
        errors_of([row for row in each if row["cell"]["seed"] in common], test, kind)[column] for each in (other, own)
    )
    if not theirs or not ours or len(other) < len(own):
        return None
    return round(fmean(theirs), DIGITS[column]) < round(fmean(ours), DIGITS[column])


def as_text(seeds: Sequence[float], digits: int) -> str:
    """Mean, with the standard deviation if there are several seeds."""
    if not seeds:
        return "-"
    spread = f" ± {stdev(seeds):.{digits}f}" if len(seeds) > 1 else ""
    return f"{fmean(seeds):.{digits}f}{spread}"
