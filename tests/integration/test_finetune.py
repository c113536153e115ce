"""The main job through the command line, on real frames and a real foundation model, and what it leaves behind."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from sevenn.calculator import SevenNetCalculator

import equisparse
from equisparse.cli import main
from equisparse.formats.entries import Entries, entries_in
from equisparse.formats.sizes import value_bytes
from equisparse.quantities import shown_errors

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")
Command = Callable[..., list[str]]


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def run(frames: dict[str, str], command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run with a stated changed fraction, the only whole run on a foundation model here."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(command(out, "--epochs", "6", "--changed", "0.02", "--seed", "3")) == 0
    return out


def test_all_files_are_there_and_complete(run: Path) -> None:
    names = {"adapter.safetensors", "merged.pth", "metrics.json", "metrics.csv", "config.yaml"}
    assert names <= {path.name for path in run.iterdir()}
    assert (run / "checkpoints" / "last.ckpt").exists()
    assert len(list((run / "figures").glob("*.png"))) >= 4
    metrics = json.loads((run / "metrics.json").read_text())
    for stage in ("base", "refit", "final"):
        for split in ("train", "valid", "test"):
            assert set(metrics[stage][split]) == {error.name for error in shown_errors()}
            assert metrics[stage][split]["stress_mae_gpa"] is None
    assert metrics["adapter_bytes"] == (run / "adapter.safetensors").stat().st_size
    assert metrics["steps"] == 12
    assert metrics["seed"] == 3
    assert metrics["versions"]["sevennet"]
    rows = read_rows(run / "metrics.csv")
    assert [float(row["epoch"]) for row in rows] == list(range(1, 7))


def test_the_fraction_asked_for_is_given(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["changed_fraction_model"] == pytest.approx(0.02, rel=0.02)
    assert metrics["changed_count"] == metrics["stored_values"]


def test_fine_tuning_beats_the_base_with_refitted_references(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    error = "force_mae_mev_per_ang"  # 12 steps are too few for energies
    assert metrics["final"]["train"][error] < 0.8 * metrics["refit"]["train"][error]
    assert metrics["refit"]["test"]["energy_mae_mev_per_atom"] < metrics["base"]["test"]["energy_mae_mev_per_atom"]


def test_merged_file_in_the_upstream_calculator_agrees_with_the_adapter(run: Path, frames: dict[str, str]) -> None:
    theirs = SevenNetCalculator(str(run / "merged.pth"), device="cpu")
    ours = equisparse.calculator("7net-0", run / "adapter.safetensors", device="cpu")
    for atoms in ase.io.read(frames["test"], ":2"):
        results = []
        for calculator in (ours, theirs):
            atoms.calc = calculator
            results.append((atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()))
        (e1, f1, s1), (e2, f2, s2) = results
        assert e1 == pytest.approx(e2, abs=1e-4)
        np.testing.assert_allclose(f1, f2, atol=1e-4)
        np.testing.assert_allclose(s1, s2, atol=1e-5)


def test_upstream_command_line_runs_the_merged_file(
    run: Path, frames: dict[str, str], tmp_path: Path, run_program: Callable[..., str]
) -> None:
    atoms = ase.io.read(frames["test"], ":")
    words = [run / "merged.pth", frames["test"], "-o", tmp_path / "out", "-d", "cpu", "--allow_unlabeled"]
    run_program("sevenn.main.sevenn", "inference", *words)
    rows = read_rows(tmp_path / "out" / "per_graph.csv")
    ours = equisparse.calculator("7net-0", run / "adapter.safetensors", device="cpu")
    for frame, row in zip(atoms, rows, strict=True):
        frame.calc = ours
        assert float(row["inferred_total_energy"]) == pytest.approx(frame.get_potential_energy(), abs=1e-3)


def test_evaluate_gives_the_numbers_of_the_run(run: Path, evaluates_alike: Callable[[Path], None]) -> None:
    evaluates_alike(run)


def test_merge_command_and_wrong_base(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["merge", str(run / "adapter.safetensors"), "--out", str(tmp_path / "m.pth"), "--device", "cpu"]
    assert main([*words, "--base", "7net-0"]) == 0
    assert "equal: native file" in capsys.readouterr().out
    assert main([*words, "--base", "7net-0_22May2024"]) == 2
    assert "another base model" in capsys.readouterr().err


def test_a_size_asked_for_is_given(frames: dict[str, str], small_base: str, tmp_path: Path) -> None:
    run = equisparse.finetune(
        frames["train"],
        valid=frames["valid"],
        base=small_base,
        out=tmp_path / "small",
        epochs=2,
        batch_size=3,
        budget="10KB",
        method="sparse",
        device="cpu",
        report=False,
    )
    metrics = json.loads((tmp_path / "small" / "metrics.json").read_text())
    assert 7_000 <= metrics["adapter_bytes"] <= 10_000  # how well they can be compressed is not known before
    layout = run.adapter.layout
    fitting = entries_in(value_bytes(10_000, layout, Entries()), layout, torch.float16)
    assert metrics["stored_values"] == fitting > 2_000
    assert metrics["adapter_bytes"] == (tmp_path / "small" / "adapter.safetensors").stat().st_size
