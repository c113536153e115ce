"""Calibration of the spread of an ensemble, as a table and as panels of a figure."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias, cast

from equisparse.adapters.ensemble_file import Ensemble
from equisparse.quantities import find_quantity
from equisparse.report.table import Cell, Number, Percent, Table

_Splits: TypeAlias = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Split -> quantity -> name of a number -> its value."""

_WEAK = 0.2
"""Rank correlation below which spreads do not separate small errors from large ones."""


def spread_title(name: str) -> tuple[str, float]:
    """Title of a quantity with the unit of its shown errors, and the factor to that unit.

    >>> spread_title("forces")
    ('force components (meV/Angstrom)', 1000.0)
    """
    quantity = find_quantity(name)
    title = f"{quantity.title} components" if quantity.shape else quantity.title
    return f"{title} ({quantity.mae.unit})", quantity.mae.factor


def calibration_table(ensemble: Ensemble) -> Table:
    """Errors and scaled spreads of an ensemble on every split that no member was trained on."""
    header = ["split", "quantity", "RMSE", "spread", "scale", "Spearman", "within 1", "within 2", "miscalibration"]
    rows: list[list[Cell]] = []
    for split, name, row in _judged(ensemble):
        title, factor = spread_title(name)
        sizes = [Number(factor * row["rmse"]), Number(factor * row["spread"])]
        scale = Number(getattr(ensemble.scales, name), "{:.2f}")
        within = [Percent(row["within_one"], "{:.0%}"), Percent(row["within_two"], "{:.0%}")]
        rank, area = Number(row["spearman"], "{:.2f}"), Number(row["miscalibration"], "{:.3f}")
        rows.append([split, title, *sizes, scale, rank, *within, area])
    title = f"Spread of the ensemble, scaled on the {ensemble.numbers['fitted_on']} frames"
    return Table(header, rows, title, grouped=True)


def weak_spreads(ensemble: Ensemble) -> Iterator[str]:
    """Warn of each quantity whose spread says little about single errors."""
    for split, name, row in _judged(ensemble):
        if row["spearman"] < _WEAK:
            yield f"{split} {name}: the spread does not separate small errors from large ones; do not rank by it"


def _judged(ensemble: Ensemble) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    """Split, quantity and numbers of each comparison."""
    splits = cast(_Splits, ensemble.numbers["splits"])
    for split, quantities in splits.items():
        for name, row in quantities.items():
            yield split, name, row
