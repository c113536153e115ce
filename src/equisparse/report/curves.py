"""Learning curves as lines, for pages and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from equisparse.quantities import all_quantities
from equisparse.training.epochs import Epoch

Points: TypeAlias = list[tuple[int, float]]
"""Epoch and value."""


@dataclass(frozen=True)
class CurvePanel:
    """Lines of one error, or of the changed weights, against epochs.

    Parameters
    ----------
    title : str
        Quantity and unit of the vertical axis.
    lines : mapping of (str, str) to list of (int, float)
        Run and split -> its points; the split is empty for the changed weights.
    logarithmic : bool
        Whether the vertical axis is logarithmic.
    """

    title: str
    lines: Mapping[tuple[str, str], Points]
    logarithmic: bool


def curve_panels(runs: Mapping[str, Sequence[Epoch]]) -> list[CurvePanel]:
    """Panels of all errors with values on validation frames, followed by the changed weights.

    Parameters
    ----------
    runs : mapping of str to sequence of Epoch
        Name of a run -> its learning curve.
    """
    panels = []
    for quantity in all_quantities():
        error = quantity.mae
        lines: dict[tuple[str, str], Points] = {}
        for run, epochs in runs.items():
            for split in ("train", "valid"):
                lines[run, split] = _points(epochs, split, error.name)
        if any(points for (_, split), points in lines.items() if split == "valid"):
            positive = any(value > 0 for points in lines.values() for _, value in points)
            panels.append(CurvePanel(f"{error.title} ({error.unit})", lines, positive))
    changed = {(run, ""): [(row.epoch, 100 * row.changed_fraction_model) for row in rows] for run, rows in runs.items()}
    return [*panels, CurvePanel("changed weights (% of the model)", changed, logarithmic=False)]


def _points(epochs: Sequence[Epoch], split: str, name: str) -> Points:
    """Epochs and values of one error, where it is known."""
    values = [(row.epoch, row.error(split, name)) for row in epochs]
    return [(epoch, value) for epoch, value in values if value is not None]
