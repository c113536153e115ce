"""Gates through the command line: they change outputs of layers and no weights, so that nothing can be merged."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import equisparse
from equisparse.adapters.file import load_adapter
from equisparse.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")
Command = Callable[..., list[str]]


@pytest.fixture(scope="module")
def run(command: Command, small_base: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run of a method that changes weights."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(command(out, "--base", small_base, "--epochs", "1", "--changed", "0.02")) == 0
    return out


@pytest.fixture(scope="module")
def gated(command: Command, small_base: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run of a method that changes no weights."""
    out = tmp_path_factory.mktemp("runs") / "gated"
    words = ["--base", small_base, "--epochs", "2", "--method", "mmea", "--method-options.rank", "4"]
    assert main(command(out, *words)) == 0
    return out


def test_gates_leave_no_merged_checkpoint_and_the_run_says_so(gated: Path) -> None:
    metrics = json.loads((gated / "metrics.json").read_text())
    stored = load_adapter(gated / "adapter.safetensors").stored
    assert metrics["stored_values"] == sum(part.numel() for parts in stored.values() for part in parts.values()) > 0
    assert metrics["changed_count"] == 0
    assert not list(gated.glob("merged*"))
    assert "merged_check" not in metrics
    report = (gated / "report.html").read_text()
    assert metrics["not_merged"] in report
    assert "Outputs of the layers" in report
    assert "selected weights changed" not in report


def test_gates_are_evaluated_by_the_command_and_by_the_calculator(
    gated: Path, frames: dict[str, str], small_base: str, evaluates_alike: Callable[[Path], None]
) -> None:
    evaluates_alike(gated)
    metrics = json.loads((gated / "metrics.json").read_text())["final"]["test"]
    ours = equisparse.calculator(small_base, gated / "adapter.safetensors", device="cpu")
    errors = [
        np.abs(ours.get_forces(frame.atoms) - frame.forces).ravel() for frame in equisparse.read_frames(frames["test"])
    ]
    assert 1e3 * np.concatenate(errors).mean() == pytest.approx(metrics["force_mae_mev_per_ang"], rel=1e-3)


@pytest.mark.parametrize("name", ["merge", "attribute"])
def test_what_needs_changed_weights_refuses_gates(
    gated: Path, small_base: str, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    words = {
        "merge": [str(gated / "adapter.safetensors"), "--base", small_base, "--out", str(gated / "m.pth")],
        "attribute": [str(gated)],
    }
    assert main([name, *words[name], "--device", "cpu"]) == 2
    assert "an adapter of the method mmea" in capsys.readouterr().err
    assert not list(gated.glob("m.pth*"))


def test_gates_are_inspected_and_compared(
    run: Path, gated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(gated / "adapter.safetensors")]) == 0
    values = json.loads((gated / "metrics.json").read_text())["stored_values"]
    assert f"{values:,} stored values" in capsys.readouterr().out
    assert main(["compare", str(run), str(gated), "--out", str(tmp_path / "c.html")]) == 0
