"""`sparsify` makes an adapter of another method, or of someone else's checkpoint, sparse."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import equisparse
from equisparse.adapters.adapter import count_changes
from equisparse.cli import main
from equisparse.run.folder import Run, read_run

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")


@pytest.fixture(scope="module")
def dense(command: Callable[..., list[str]], small_base: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of full fine-tuning, radial networks included."""
    out = tmp_path_factory.mktemp("dense") / "run"
    assert main(command(out, "--base", small_base, "--epochs", "12", "--method", "full", "--targets", "all")) == 0
    return read_run(out)


def words(adapter: Path, frames: dict[str, str], out: Path, *more: str) -> list[str]:
    splits = ["--frames", frames["train"], "--valid", frames["valid"], "--test", frames["test"]]
    return ["sparsify", str(adapter), *splits, "--out", str(out), "--batch-size", "4", "--device", "cpu", *more]


def test_a_dense_adapter_becomes_sparse_and_the_run_tells_the_price(
    dense: Run, frames: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sparse"
    assert main(words(dense.files.adapter, frames, out, "--epochs", "6", "--changed", "0.1")) == 0
    assert "start" in capsys.readouterr().out
    run, backbone = read_run(out), equisparse.load_backbone(dense.config.base)
    adapter = equisparse.load_adapter(run.files.adapter)
    assert count_changes(adapter, backbone.model).of_model == pytest.approx(0.1, rel=0.01)
    assert adapter.shifts == equisparse.load_adapter(dense.files.adapter).shifts
    for error, value in run.metrics.refit["test"].items():  # the start is the dense adapter
        assert value == (value and pytest.approx(dense.metrics.final["test"][error], rel=1e-4))
    force = "force_mae_mev_per_ang"
    assert run.metrics.final["valid"][force] < 1.5 * dense.metrics.final["valid"][force]
    assert run.metrics.final["valid"][force] < 0.9 * dense.metrics.refit["valid"][force]


def test_a_checkpoint_of_another_trainer_becomes_sparse(dense: Run, frames: dict[str, str], tmp_path: Path) -> None:
    backbone = equisparse.load_backbone(dense.config.base)
    with torch.no_grad():
        for parameter in backbone.model.parameters():
            parameter.add_(1e-3)
    native = tmp_path / "tuned.pth"
    backbone.save_native(native, {})
    extracted = equisparse.extract(dense.config.base, native).adapter
    run = equisparse.sparsify(
        extracted,
        frames["train"],
        valid=frames["valid"],
        base=dense.config.base,
        out=tmp_path / "run",
        changed=0.05,
        curve=True,
        epochs=3,
        batch_size=4,
        device="cpu",
        report=False,
    )
    assert run.metrics.changed_fraction_model == pytest.approx(0.05, rel=0.01)
    assert run.config.base == dense.config.base
    fractions = sorted({point.changed_fraction_model for point in run.sparsity})
    assert fractions[:2] == pytest.approx([0.05, 0.1], rel=0.01)
    equisparse.pick(run, changed=0.1, out=tmp_path / "picked.safetensors")
    picked = equisparse.load_adapter(tmp_path / "picked.safetensors")
    assert count_changes(picked, backbone.model).of_model == pytest.approx(0.1, rel=0.01)


def test_another_method_is_refused(
    dense: Run, frames: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(dense.files.adapter, frames, tmp_path / "x", "--method", "lowrank", "--changed", "0.1")) == 2
    assert "can start from an adapter" in capsys.readouterr().err


def test_targets_that_leave_out_changes_are_refused(
    dense: Run, frames: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(dense.files.adapter, frames, tmp_path / "x", "--targets", "linear", "--changed", "0.01")) == 2
    assert "leave out tensors that the adapter changes" in capsys.readouterr().err
    assert not (tmp_path / "x" / "adapter.safetensors").exists()


def test_an_adapter_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sparsify", "--changed", "0.1"]) == 2
    assert "There is no adapter to make sparse" in capsys.readouterr().err
