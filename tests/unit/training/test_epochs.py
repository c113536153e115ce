"""The learning curve is written to a CSV file and read back with the same values."""

from pathlib import Path

from equisparse.training.epochs import Epoch, read_curve, write_curve

CURVE = [
    Epoch(1, 5, 0.01, 1.5, 0.3, {"train": {"force_mae_mev_per_ang": 30.0}, "valid": {"force_mae_mev_per_ang": 40.0}}),
    Epoch(2, 10, 0.02, 3.0, float("inf"), {"valid": {"force_mae_mev_per_ang": 20.0}}),
]


def test_a_curve_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_curve(tmp_path / "metrics.csv", CURVE)
    assert read_curve(tmp_path / "metrics.csv") == CURVE


def test_columns_of_a_curve(tmp_path: Path) -> None:
    write_curve(tmp_path / "metrics.csv", CURVE)
    header, first, _ = (tmp_path / "metrics.csv").read_text().splitlines()
    errors = "train_force_mae_mev_per_ang,valid_force_mae_mev_per_ang"
    assert header == f"epoch,step,valid_loss,{errors},changed_fraction_model,seconds"
    assert first == "1.0,5.0,0.3,30.0,40.0,0.01,1.5"


def test_a_missing_curve_is_empty(tmp_path: Path) -> None:
    assert read_curve(tmp_path / "metrics.csv") == []


def test_epochs_survive_a_checkpoint() -> None:
    assert [Epoch.from_dict(epoch.to_dict()) for epoch in CURVE] == CURVE
