"""A run with --curve keeps an adapter and its errors for every stage, and `pick` takes one of them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import ase.io
import pytest

import equisparse
from equisparse.cli import main
from equisparse.methods import fewest, sparse
from equisparse.run.folder import Run, read_run

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")


@pytest.fixture(scope="module")
def run(command: Callable[..., list[str]], small_base: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run with a curve that ends at 1 %."""
    out = tmp_path_factory.mktemp("curve") / "run"
    assert main(command(out, "--base", small_base, "--epochs", "12", "--curve", "--changed", "0.01")) == 0
    return read_run(out)


def test_every_stage_has_an_adapter_with_as_many_changes_as_it_says(run: Run) -> None:
    backbone = equisparse.load_backbone(run.config.base)
    points = {row.file: row for row in run.sparsity}
    assert len(points) == 4  # all entries, 10 %, 3 %, 1 %
    for file, row in points.items():
        adapter = equisparse.load_adapter(run.folder / file)
        assert 0 <= adapter.stored_values - row.changed_count <= 2  # a change below the rounding of a weight is none
        assert (run.folder / file).stat().st_size == row.adapter_bytes
        assert row.changed_fraction_model == pytest.approx(row.changed_count / backbone.layout().total_parameters)
    fractions = sorted(row.changed_fraction_model for row in points.values())
    assert fractions[:3] == pytest.approx([0.01, 0.03, 0.1], rel=0.01)
    assert fractions[3] > 0.1


def test_errors_of_a_stage_are_those_of_evaluate(run: Run, frames: dict[str, str]) -> None:
    middle = next(row for row in run.sparsity if row.error == "force_mae_mev_per_ang" and row.split == "test")
    errors = equisparse.evaluate(frames["test"], run.config.base, run.folder / middle.file)
    assert errors["force_mae_mev_per_ang"] == pytest.approx(middle.value, rel=1e-4)


def test_the_last_stage_is_the_adapter_of_the_run(run: Run) -> None:
    last = {(row.split, row.error): row.value for row in run.sparsity if row.file == "adapter.safetensors"}
    assert last["test", "force_mae_mev_per_ang"] == run.metrics.final["test"]["force_mae_mev_per_ang"]
    assert not any(split == "train" for split, _ in last)


def test_pick_copies_the_adapter_of_a_fraction(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "picked.safetensors"
    assert main(["pick", str(run.folder), "--changed", "0.03", "--out", str(out)]) == 0
    picked = equisparse.load_adapter(out)
    backbone = equisparse.load_backbone(run.config.base)
    assert picked.stored_values == round(0.03 * backbone.layout().total_parameters)
    frame = ase.io.read(run.config.test[0])  # type: ignore[index]
    frame.calc = equisparse.calculator(run.config.base, picked)
    assert frame.get_potential_energy() != 0


def test_a_fraction_that_is_not_there_is_refused_with_those_that_are(run: Run, tmp_path: Path) -> None:
    with pytest.raises(equisparse.EquisparseError, match=r"0\.03"):
        equisparse.pick(run, 0.05, tmp_path / "none.safetensors")
    assert not (tmp_path / "none.safetensors").exists()


def test_the_curve_is_shown(run: Run) -> None:
    assert 'id="sparsity"' in run.files.report.read_text(encoding="utf-8")
    assert (run.files.figures / "sparsity.png").stat().st_size > 5000


def test_a_method_without_stages_has_no_curve(command: Callable[..., list[str]], small_base: str, tmp_path: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    assert main(command(tmp_path / "run", "--base", small_base, "--curve", "--method", "full")) == 2
    assert "Only the method sparse has a curve" in capsys.readouterr().err


def test_without_a_target_the_run_tells_what_was_tried(
    command: Callable[..., list[str]],
    small_base: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fewest, "FEWEST_STEPS", 5)
    monkeypatch.setattr(sparse, "FEW_STEPS", 5)
    assert main(command(tmp_path / "run", "--base", small_base, "--epochs", "20")) == 0
    shown = capsys.readouterr().out
    run = read_run(tmp_path / "run")
    assert run.metrics.method == "sparse"
    first, second, *_ = run.metrics.trials
    assert first.accepted
    assert second.entries < first.entries
    assert run.metrics.changed_fraction_model < 0.31
    assert "validation loss, that of" in shown
    assert "Search for the fewest weights" in run.files.report.read_text(encoding="utf-8")


def test_a_run_that_is_too_short_for_a_search_says_so(
    command: Callable[..., list[str]], small_base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path / "run", "--base", small_base, "--epochs", "3")) == 0
    run = read_run(tmp_path / "run")
    assert run.metrics.trials == ()
    assert run.metrics.changed_fraction_model == pytest.approx(0.3, abs=0.01)
    assert "steps are too few for a search; 30% were changed" in capsys.readouterr().out
    assert "too few for a search" in run.files.report.read_text(encoding="utf-8")


def test_a_finished_run_is_trained_for_more_epochs(run: Run, command: Callable[..., list[str]], tmp_path: Path) -> None:
    """Its last entries are trained on; the stages before stay as they were, and no new ones are added."""
    out = tmp_path / "run"
    shutil.copytree(run.folder, out)
    words = ["--base", run.config.base, "--curve", "--changed", "0.01", "--resume", "--epochs", "17"]
    assert main(command(out, *words)) == 0
    longer = read_run(out)
    assert len(longer.curve) == 17
    assert longer.metrics.changed_count == run.metrics.changed_count
    before, after = ([row for row in each.sparsity if row.file != "adapter.safetensors"] for each in (run, longer))
    assert [row.file for row in after] == [row.file for row in before]
    assert [row.value for row in after] == pytest.approx([row.value for row in before])
    last = {(row.split, row.error): row.value for row in longer.sparsity if row.file == "adapter.safetensors"}
    assert last["test", "force_mae_mev_per_ang"] == longer.metrics.final["test"]["force_mae_mev_per_ang"]


@pytest.mark.parametrize("target", [("--changed", "0.05"), ()])
def test_patience_waits_for_the_last_stage(
    command: Callable[..., list[str]], small_base: str, tmp_path: Path, target: tuple[str, ...]
) -> None:
    words = command(tmp_path / "run", "--base", small_base, "--epochs", "12", "--patience", "1", *target)
    assert main(words) == 0
    run = read_run(tmp_path / "run")
    assert run.metrics.changed_fraction_model < 0.31
    assert len(run.curve) >= 7  # the dense half, and then some
