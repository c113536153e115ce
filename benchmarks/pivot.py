"""Tables of the cells of `tables.py`: a line a data set, a column a method, means over the seeds that are there."""

import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
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
    """Lines of a Markdown table of errors; the least force error of a line in bold."""
    cells = [(cell, rows_of_cell(cell)) for cell in TABLES[table]()]
    if not any(rows for _, rows in cells):
        return
    labels = [*dict.fromkeys(cell.label for cell, rows in cells if rows), ZERO_SHOT]
    yield f"| set | {' | '.join(labels)} |"
    yield "|---" * (len(labels) + 1) + "|"
    for data in dict.fromkeys(cell.data for cell, rows in cells if rows):
        rows = {cell.label: rows for cell, rows in cells if cell.data == data}
        for test in tests_of(rows):
            errors = {label: mean_errors(found, test, kind) for label, found in rows.items() if found}
            if test == "test":
                errors |= {ZERO_SHOT: mean_errors(next(found for found in rows.values() if found), ZERO_SHOT, kind)}
            name = data if test == "test" else f"{data}, {test}"
            yield f"| {name} | {' | '.join(marked(errors).get(label, '') for label in labels)} |"


def tests_of(rows: Mapping[str, Sequence[dict[str, Any]]]) -> list[str]:
    """Names of the tests of a data set."""
    others = [row.get("other_tests", {}) for found in rows.values() for row in found]
    return ["test", *dict.fromkeys(itertools.chain(*others))]


def mean_errors(rows: Sequence[dict[str, Any]], test: str, kind: str) -> list[float]:
    """Mean errors over seeds: force (meV/A), energy (meV/atom) and, where there are labels, stress (GPa)."""
    named = [row["other_tests"] | {"test": row["test"], ZERO_SHOT: row["refit_test"]} for row in rows]
    metrics: list[Metrics] = [each[test] for each in named]
    columns = [[each.get(name) for each in metrics] for name in COLUMNS[kind]]
    return [statistics.fmean(values) for values in columns if None not in values]  # type: ignore[arg-type]


def marked(errors: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """Errors as text, with the least of each kind in bold."""
    least = [min(column) for column in zip(*errors.values(), strict=False)]
    return {
        label: " / ".join(
            f"**{value:.{digits}f}**" if value == best else f"{value:.{digits}f}"
            for value, best, digits in zip(values, least, (1, 2, 3), strict=False)
        )
        for label, values in errors.items()
    }
