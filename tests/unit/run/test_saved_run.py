"""A run folder that an earlier version wrote: every table opens with its types, and the report can be written again."""

import math
import shutil
from pathlib import Path

import pytest

from equisparse.quantities import ENERGY, FORCES
from equisparse.report.html.document import write_report
from equisparse.report.paper.export import write_tables
from equisparse.run.folder import Run, read_run

SAVED = Path(__file__).parents[2] / "regression" / "run"
"""One epoch on the packaged MgO frames, attributed and probed, with fewer frames, entries, maps and curves."""


@pytest.fixture
def saved(tmp_path: Path) -> Run:
    """The saved run in a folder of its own."""
    return read_run(shutil.copytree(SAVED, tmp_path / "run"))


def test_metrics(saved: Run) -> None:
    metrics = saved.metrics
    assert (metrics.method, metrics.steps, metrics.seed, metrics.changed_count) == ("sparse", 10, 0, 563_892)
    assert (metrics.splits, metrics.judged) == (["train", "valid", "test"], "test")
    assert metrics.final["test"]["force_mae_mev_per_ang"] == pytest.approx(237.342, abs=1e-3)
    assert metrics.final["test"]["stress_mae_gpa"] is None
    assert metrics.reference_shifts_ev == {8: pytest.approx(-2.2078, abs=1e-4), 12: pytest.approx(-2.2078, abs=1e-4)}
    assert metrics.reference_unresolved == ("Mg", "O")
    assert metrics.retention is not None
    assert (metrics.retention.n_structures, metrics.retention.force_mev_per_ang_median) == (64, 1.837)
    assert metrics.merged_check is not None
    assert metrics.merged_check.equal
    assert metrics.not_merged is None
    assert "merged.pth" in str(metrics.deployment)


def test_configuration_curve_and_findings(saved: Run) -> None:
    assert (saved.config.train, saved.config.base, saved.config.lr) == (["demo"], "7net-0", 0.02)
    (epoch,) = saved.curve
    assert (epoch.epoch, epoch.step) == (1, 10)
    assert epoch.error("valid", "force_mae_mev_per_ang") == pytest.approx(233.194, abs=1e-3)
    assert epoch.error("drift", "force_mae_mev_per_ang") is None
    assert epoch.valid_loss == pytest.approx(0.0230, abs=1e-4)
    assert saved.findings is not None
    (finding,) = saved.findings
    assert (finding.level, finding.code, finding.frames) == ("note", "unresolved-references", ())


def test_description_of_the_change(saved: Run) -> None:
    first = saved.block_signatures[0]
    assert (first.layer, first.role, first.l, first.n_weights, first.n_changed) == (-1, "embedding", 0, 11_392, 237)
    assert sum(row.n_changed for row in saved.block_signatures) == saved.metrics.changed_count
    assert {row.element for row in saved.element_signatures} == {8, 12}
    assert saved.entries[0].position == "51 97"
    assert {row.element for row in saved.functional} == {None, 8, 12}
    assert all(grid.ndim == 2 for grid in saved.maps.values())
    assert list(saved.attributions) == ["layer", "role"]
    assert all(isinstance(row.group, int) for row in saved.attributions["layer"])
    assert all(isinstance(row.group, str) for row in saved.attributions["role"])


def test_predictions(saved: Run) -> None:
    split = saved.predictions
    assert split is not None
    assert split.n_frames == 4
    assert split.labels[FORCES].shape == (len(split.numbers), 3)
    assert math.isfinite(split.after[ENERGY].sum())


def test_probe(saved: Run) -> None:
    files = saved.files.probe
    assert saved.verdict is not None
    assert (saved.verdict.level, len(saved.verdict.checks)) == ("pass", 7)
    assert files.drift.read()[0].name == "SiO2 rutile"
    assert {row.element for row in files.elements.read() if row.in_data} == {"O", "Mg"}
    assert files.groups.read()[0].group == "all"
    assert [row.hole for row in files.scans("dimers").read()] == [False] * 3
    assert files.scan_curves("compression").read()[0].x == 1.0
    first, second = files.dynamics.read()
    assert (first.failure, first.drift_mev_per_atom_ps) == ("", None)
    assert second.drift_mev_per_atom_ps is not None


def test_report_and_tables(saved: Run, tmp_path: Path) -> None:
    page = write_report(saved).read_text()
    for section in ("functional", "attribution", "robustness"):
        assert f'<section id="{section}"' in page
    assert {path.stem for path in write_tables(saved, tmp_path / "tables")} >= {"errors", "changes", "attribution_role"}
