"""Draw docs/figures/path_weights.png: which channels a layer mixes, and a sparse change of its weights."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

mpl.use("Agg")
OUT = Path(__file__).parents[1] / "docs" / "figures" / "path_weights.png"
CHANNELS = ((0, 8, "#0f766e"), (1, 5, "#b45309"), (2, 3, "#6d28d9"))
"""Degree l, number of channels and colour."""
CHANGED = 0.1


def main() -> None:
    """Draw both panels."""
    figure, (weights, change) = plt.subplots(1, 2, figsize=(10, 5.2), dpi=130)
    generator = np.random.default_rng(3)
    for axes, title in ((weights, "path weights W"), (change, "sparse change dW (10 % of the weights)")):
        _frame(axes, title)
    start = 0
    for degree, count, colour in CHANNELS:
        strength = generator.uniform(0.15, 0.9, (count, count))
        _cells(weights, start, strength, colour)
        chosen = np.argsort(generator.random(count**2))[: max(1, round(CHANGED * count**2))]
        kept = np.zeros(count**2)
        kept[chosen] = 0.9
        _cells(change, start, kept.reshape(count, count), colour)
        for axes in (weights, change):
            _label(axes, start, count, degree, colour)
        start += count
    figure.tight_layout()
    OUT.parent.mkdir(exist_ok=True)
    figure.savefig(OUT)


def _frame(axes: Axes, title: str) -> None:
    """Prepare one panel."""
    total = sum(count for _, count, _ in CHANNELS)
    axes.set(xlim=(-0.2, total + 0.2), ylim=(total + 0.2, -0.2), aspect="equal", xticks=[], yticks=[])
    axes.set_title(title, pad=28)
    axes.set_xlabel("output channels")
    axes.set_ylabel("input channels", labelpad=28)
    axes.add_patch(Rectangle((0, 0), total, total, facecolor="#f1f5f9", edgecolor="none"))
    axes.spines[:].set_visible(False)


def _cells(axes: Axes, start: int, strengths: np.ndarray, colour: str) -> None:
    """Draw the weights of one path."""
    for (row, column), strength in np.ndenumerate(strengths):
        corner = (start + column, start + row)
        axes.add_patch(Rectangle(corner, 1, 1, facecolor="white", edgecolor="#cbd5e1", linewidth=0.6))
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, alpha=strength, edgecolor="none"))


def _label(axes: Axes, start: int, count: int, degree: int, colour: str) -> None:
    """Name the channels of one degree on both sides."""
    middle = start + count / 2
    axes.add_patch(Rectangle((start, start), count, count, fill=False, edgecolor=colour, linewidth=1.5))
    axes.text(middle, -0.4, f"l = {degree}", ha="center", va="bottom", color=colour)
    axes.text(-0.4, middle, f"l = {degree}", ha="right", va="center", color=colour, rotation=90)


if __name__ == "__main__":
    main()
