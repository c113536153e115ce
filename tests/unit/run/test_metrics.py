"""Metrics come back from their file; a damaged file is refused."""

import json
from pathlib import Path

import pytest

from equisparse.deploy.merge import MergeCheck
from equisparse.errors import InputError
from equisparse.robustness.drift import DriftSummary
from equisparse.run.metrics import Metrics, read_metrics, write_metrics

ERRORS = {"train": {"energy_mae_mev_per_atom": 1.5}, "valid": {"energy_mae_mev_per_atom": None}}
NUMBERS = Metrics(
    base=ERRORS,
    refit=ERRORS,
    final=ERRORS,
    method="full",
    changed_fraction_model=0.5,
    changed_fraction_selected=1.0,
    changed_count=10,
    stored_values=10,
    steps=3,
    seconds=1.25,
    seed=4,
    versions={"python": "3"},
    reference_shifts_ev={8: -1.5},
    reference_unresolved=("O",),
    retention=DriftSummary("all", 2, *[1.0] * 6, *[None] * 3),
    adapter_bytes=100,
    base_bytes=200,
    merged_check=MergeCheck(1, 0.0, 0.0, 0.0, 0.0, equal=True),
    deployment="text",
)


def test_metrics_come_back(tmp_path: Path) -> None:
    write_metrics(tmp_path / "metrics.json", NUMBERS)
    assert read_metrics(tmp_path / "metrics.json") == NUMBERS
    values = json.loads((tmp_path / "metrics.json").read_text())
    assert "not_merged" not in values
    assert "group" not in values["retention"]


def test_files_of_earlier_versions_lack_some_values(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_metrics(path, NUMBERS)
    values = json.loads(path.read_text())
    for name in ("method", "retention", "reference_rank", "reference_unresolved", "spin_layer_values"):
        del values[name]
    path.write_text(json.dumps(values | {"new": 1}))
    metrics = read_metrics(path)
    assert (metrics.method, metrics.retention, metrics.reference_unresolved) == ("not recorded", None, ())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"base": 1}'])
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(InputError, match="damaged"):
        read_metrics(tmp_path / "metrics.json")
