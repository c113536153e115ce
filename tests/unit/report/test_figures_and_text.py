"""Figures and tables show the numbers that they were given."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from equisparse.adapters.adapter import Adapter
from equisparse.interpret.signatures import SignatureRow
from equisparse.quantities import ENERGY, shown_errors
from equisparse.report.paper import figures
from equisparse.report.parity import parity_points
from equisparse.report.tables import error_table, metrics_table
from equisparse.report.terminal.closing import worse_line
from equisparse.report.terminal.inspect import inspect_tables
from equisparse.report.terminal.render import rich_table
from equisparse.run.curve import Epoch
from equisparse.run.predictions import SplitPredictions


def made_epochs(**errors: float) -> list[Epoch]:
    """Five epochs with falling errors, and `errors` that do not change, by name."""
    epochs = []
    for n in range(1, 6):
        train = {"energy_mae_mev_per_atom": 9.0 / n, "force_mae_mev_per_ang": 90.0 / n} | errors
        valid = {"energy_mae_mev_per_atom": 10.0 / n, "force_mae_mev_per_ang": 100.0 / n} | errors
        loss = float("inf") if n < 2 else 0.1
        epochs.append(Epoch(n, 10 * n, 0.03, valid_loss=loss, errors={"train": train, "valid": valid}))
    return epochs


def text_of(*renderables: object) -> str:
    """What a log file would hold."""
    console = Console(width=110, record=True, file=io.StringIO())
    for renderable in renderables:
        console.print(renderable)
    return console.export_text()


def made_signature(layer: int, role: str, l: int, *, n_weights: int, n_changed: int) -> SignatureRow:  # noqa: E741
    """Signature of a block of which only the counts matter."""
    share = n_changed / n_weights
    return SignatureRow(0, "w", layer, role, "", l, 1, None, n_weights, n_changed, share, None, None, None, 0.0)


def errors(value: float) -> dict[str, float | None]:
    """All errors of one size, without stress."""
    return {error.name: value for error in shown_errors()} | {"stress_mae_gpa": None}


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


def test_error_table_has_all_stages_and_the_ratio(made_metrics) -> None:
    stages = {"base": errors(800.0), "refit": errors(40.0), "final": errors(10.0)}
    metrics = replace(made_metrics("test"), **{name: {"train": value, "test": value} for name, value in stages.items()})
    text = text_of(rich_table(error_table(metrics)))
    for shown in ("800.00", "40.00", "10.00", "0.25", "train", "test"):
        assert shown in text
    assert "GPa" not in text
    assert "meV/Angstrom" in text_of(rich_table(metrics_table(errors(1.0))))


def test_errors_that_training_raised_are_told() -> None:
    assert worse_line(errors(40.0), errors(10.0)) is None
    line = worse_line(errors(40.0), errors(10.0) | {"energy_mae_mev_per_atom": 200.8})
    assert line is not None
    assert "energy MAE 40.00 -> 200.80 meV/atom" in line
    assert "force" not in line
    assert "--lr" in line


def test_inspect_names_what_changed(planted: Adapter) -> None:
    text = text_of(*inspect_tables(planted, 12_345))
    for shown in ("12,345 bytes", "7net-0", "Mg -2.5000", "3 weights", "readout", "1o->1o"):
        assert shown in text
