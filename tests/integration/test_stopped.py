"""Trainings that are stopped, before they start or while they run, and what is said."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest

from equisparse.cli import main
from equisparse.training.task import FinetuneTask

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")
Command = Callable[..., list[str]]


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with path.open() as file:
        return list(csv.DictReader(file))


def test_bad_labels_stop_before_training(
    frames: dict[str, str], small_base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = ase.io.read(frames["train"], ":")
    for atoms in broken:
        atoms.arrays["REF_forces"][:] = 0
    ase.io.write(tmp_path / "zero.extxyz", broken)
    words = [str(tmp_path / "zero.extxyz"), "--base", small_base, "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main(["finetune", *words]) == 2
    captured = capsys.readouterr()
    assert "nothing was trained" in captured.err
    assert "error" in captured.out
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_a_size_too_small_stops_before_training(
    command: Command, small_base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path / "tiny", "--base", small_base, "--epochs", "1", "--budget", "1KB")) == 2
    assert "too small for an adapter file" in capsys.readouterr().err


def broken_from(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all trained values be no numbers from an epoch on."""
    started = FinetuneTask.on_train_epoch_start

    def start(task: FinetuneTask) -> None:
        started(task)
        if task.current_epoch >= epoch:
            for parameter in task.deltas.parameters():
                parameter.data.fill_(float("nan"))

    monkeypatch.setattr(FinetuneTask, "on_train_epoch_start", start)


def test_a_training_that_breaks_down_stops_and_keeps_the_best_epoch(
    command: Command,
    small_base: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken_from(1, monkeypatch)
    words = command(tmp_path / "run", "--base", small_base, "--epochs", "5", "--method", "soft_threshold")
    assert main(words) == 0
    assert "the loss is NaN" in capsys.readouterr().out
    losses = [float(row["valid_loss"]) for row in read_rows(tmp_path / "run" / "metrics.csv")]
    assert len(losses) == 2
    assert np.isfinite(losses).tolist() == [True, False]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    errors = [metrics[stage]["valid"]["force_mae_mev_per_ang"] for stage in ("final", "refit")]
    assert errors[0] < errors[1]


def test_a_training_without_any_good_epoch_is_an_error(
    command: Command,
    small_base: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken_from(1, monkeypatch)
    assert main(command(tmp_path / "run", "--base", small_base, "--epochs", "5", "--changed", "0.02")) == 2
    assert "no earlier epoch to keep" in capsys.readouterr().err
    assert not (tmp_path / "run" / "adapter.safetensors").exists()
