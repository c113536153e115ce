"""Figures show the numbers that they were given."""

from pathlib import Path

import numpy as np
import pytest

from equisparse.interpret.signatures import SignatureRow
from equisparse.quantities import ENERGY
from equisparse.report.paper import figures
from equisparse.report.parity import parity_points
from equisparse.run.predictions import SplitPredictions
from equisparse.training.epochs import Epoch


def made_epochs(**errors: float) -> list[Epoch]:
    """Five epochs with falling errors, and `errors` that do not change, by name."""
    epochs = []
    for n in range(1, 6):
        train = {"energy_mae_mev_per_atom": 9.0 / n, "force_mae_mev_per_ang": 90.0 / n} | errors
        valid = {"energy_mae_mev_per_atom": 10.0 / n, "force_mae_mev_per_ang": 100.0 / n} | errors
        loss = float("inf") if n < 2 else 0.1
        epochs.append(Epoch(n, 10 * n, 0.03, valid_loss=loss, errors={"train": train, "valid": valid}))
    return epochs


def made_signature(layer: int, role: str, l: int, *, n_weights: int, n_changed: int) -> SignatureRow:  # noqa: E741
    """Signature of a block of which only the counts matter."""
    share = n_changed / n_weights
    return SignatureRow(0, "w", layer, role, "", l, 1, None, n_weights, n_changed, share, None, None, None, 0.0)


def test_learning_curve_of_errors_that_are_zero(tmp_path: Path) -> None:
    figures.save(figures.learning_curve(made_epochs(moment_mae_mub=0.0)), tmp_path / "curve.png")


def test_learning_curve_draws_every_epoch_and_no_empty_panel(tmp_path: Path) -> None:
    figure = figures.learning_curve(made_epochs())
    assert len(figure.axes) == 3
    np.testing.assert_allclose(figure.axes[0].lines[1].get_ydata(), [10.0 / n for n in range(1, 6)])
    assert "meV/atom" in figure.axes[0].get_ylabel()
    figures.save(figure, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("count", [50, 6000])
def test_parity_keeps_errors_right_far_from_zero(count: int) -> None:
    reference = np.linspace(-500.5, -499.5, count)
    n_atoms = np.ones(count, dtype=int)
    split = SplitPredictions(
        *(np.full(count, "") for _ in range(2)),
        *(n_atoms, n_atoms, n_atoms, np.zeros((count, 3)), np.zeros((count, 3, 3))),
        *({ENERGY: reference + shift} for shift in (0.0, 0.02, -0.003)),
    )
    figure = figures.parity(next(parity_points(split)), label="test")
    assert [axis.texts[0].get_text().split("\n")[0] for axis in figure.axes] == ["MAE 20.00", "MAE 3.00"]
    low, high = figure.axes[0].get_xlim()
    assert -2 < low < high < 2


def test_change_map_shows_shares() -> None:
    rows = [
        made_signature(-1, "embedding", 0, n_weights=100, n_changed=10),
        made_signature(0, "linear", 0, n_weights=50, n_changed=0),
        made_signature(0, "linear", 1, n_weights=50, n_changed=25),
    ]
    grid, per_layer, per_degree = figures.change_map(rows).axes[:3]
    assert sorted(text.get_text() for text in grid.texts) == ["0", "10", "50"]
    assert [bar.get_width() for bar in per_layer.patches] == pytest.approx([10, 25])
    assert [bar.get_width() for bar in per_degree.patches] == pytest.approx([100 * 10 / 150, 50])
