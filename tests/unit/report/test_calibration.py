"""Table of the calibration of an ensemble, and warnings about weak spreads."""

from dataclasses import replace

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.ensemble_file import Ensemble, Scales
from equisparse.report.calibration import calibration_table, weak_spreads

ROW = {"rmse": 0.02, "spread": 0.01, "spearman": 0.5, "within_one": 0.7, "within_two": 0.9, "miscalibration": 0.05}


def ensemble(planted: Adapter, spearman: float) -> Ensemble:
    """Two members with one calibrated quantity."""
    numbers = {"fitted_on": "valid", "splits": {"test": {"forces": ROW | {"spearman": spearman}}}}
    return Ensemble({"a": planted, "b": replace(planted)}, Scales(forces=1.5), numbers)


def test_errors_and_spreads_have_units(planted: Adapter) -> None:
    table = calibration_table(ensemble(planted, 0.5))
    expected = ["test", "force components (meV/Angstrom)", "20", "10", "1.50", "0.50", "70%", "90%", "0.050"]
    assert table.texts() == [expected]
    assert "valid frames" in table.title


def test_weak_spreads_are_named(planted: Adapter) -> None:
    assert not list(weak_spreads(ensemble(planted, 0.5)))
    (warning,) = weak_spreads(ensemble(planted, 0.1))
    assert warning.startswith("test forces: ")
