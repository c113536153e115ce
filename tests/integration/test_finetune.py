"""The main job through the command line, on real frames and a real foundation model, and what it leaves behind."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from sevenn.calculator import SevenNetCalculator

import equisparse
from equisparse.adapters.file import load_adapter
from equisparse.cli import main
from equisparse.config.finetune import FinetuneConfig
from equisparse.data.demo import demo_files
from equisparse.formats.entries import Entries, entries_in
from equisparse.formats.sizes import value_bytes
from equisparse.quantities import shown_errors
from equisparse.tasks.finetune import prepare_folder
from equisparse.training.task import FinetuneTask

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Small train, valid and test files of real DFT frames."""
    folder = tmp_path_factory.mktemp("frames")
    demo = demo_files()
    files = {}
    for name, source, count in (("train", demo.train, 12), ("valid", demo.valid, 4), ("test", demo.test, 4)):
        files[name] = str(folder / f"{name}.extxyz")
        ase.io.write(files[name], ase.io.read(source, f":{count}"))
    return files


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with path.open() as file:
        return list(csv.DictReader(file))


def command(frames: dict[str, str], out: Path, *more: str) -> list[str]:
    """Words of a short fine-tune."""
    splits = [frames["train"], "--valid", frames["valid"], "--test", frames["test"]]
    return ["finetune", *splits, "--out", str(out), "--batch-size", "4", "--device", "cpu", *more]


@pytest.fixture(scope="module")
def run(frames: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run with a stated changed fraction."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(command(frames, out, "--epochs", "8", "--changed", "0.02", "--seed", "3")) == 0
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
    assert metrics["steps"] == 24
    assert metrics["seed"] == 3
    assert metrics["versions"]["sevennet"]
    rows = read_rows(run / "metrics.csv")
    assert [float(row["epoch"]) for row in rows] == list(range(1, 9))


def test_the_fraction_asked_for_is_given(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["changed_fraction_model"] == pytest.approx(0.02, rel=0.02)
    assert metrics["changed_count"] == metrics["stored_values"]


def test_fine_tuning_beats_the_base_with_refitted_references(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    error = "force_mae_mev_per_ang"  # 24 steps are too few for energies
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


def test_upstream_command_line_runs_the_merged_file(run: Path, frames: dict[str, str], tmp_path: Path) -> None:
    words = [
        "-m",
        "sevenn.main.sevenn",
        "inference",
        str(run / "merged.pth"),
        frames["test"],
        "-o",
        str(tmp_path / "out"),
    ]
    atoms = ase.io.read(frames["test"], ":")
    words += ["-d", "cpu", "--allow_unlabeled"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = read_rows(tmp_path / "out" / "per_graph.csv")
    ours = equisparse.calculator("7net-0", run / "adapter.safetensors", device="cpu")
    for frame, row in zip(atoms, rows, strict=True):
        frame.calc = ours
        assert float(row["inferred_total_energy"]) == pytest.approx(frame.get_potential_energy(), abs=1e-3)


def test_evaluate_gives_the_numbers_of_the_run(
    run: Path, frames: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", frames["test"], "--base", "7net-0", "--device", "cpu", "--json"]
    capsys.readouterr()
    assert main([*words, "--adapter", str(run / "adapter.safetensors")]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = json.loads((run / "metrics.json").read_text())["final"]["test"]
    assert found["stress_mae_gpa"] is expected["stress_mae_gpa"] is None
    assert found == {name: value and pytest.approx(value, rel=1e-4) for name, value in expected.items()}


def test_merge_command_and_wrong_base(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["merge", str(run / "adapter.safetensors"), "--out", str(tmp_path / "m.pth"), "--device", "cpu"]
    assert main([*words, "--base", "7net-0"]) == 0
    assert "equal: native file" in capsys.readouterr().out
    assert main([*words, "--base", "7net-0_22May2024"]) == 2
    assert "another base model" in capsys.readouterr().err


@pytest.fixture(scope="module")
def gated(frames: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run of a method that changes no weights."""
    out = tmp_path_factory.mktemp("runs") / "gated"
    assert main(command(frames, out, "--epochs", "2", "--method", "mmea", "--method-options.rank", "4")) == 0
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
    gated: Path, frames: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    test_evaluate_gives_the_numbers_of_the_run(gated, frames, capsys)
    metrics = json.loads((gated / "metrics.json").read_text())["final"]["test"]
    ours = equisparse.calculator("7net-0", gated / "adapter.safetensors", device="cpu")
    errors = [
        np.abs(ours.get_forces(frame.atoms) - frame.forces).ravel() for frame in equisparse.read_frames(frames["test"])
    ]
    assert 1e3 * np.concatenate(errors).mean() == pytest.approx(metrics["force_mae_mev_per_ang"], rel=1e-3)


@pytest.mark.parametrize(
    "words",
    [("merge", "{}/adapter.safetensors", "--base", "7net-0", "--out", "{}/m.pth"), ("attribute", "{}")],
    ids=lambda words: words[0],
)
def test_what_needs_changed_weights_refuses_gates(
    gated: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert main([*(word.format(gated) for word in words), "--device", "cpu"]) == 2
    assert "an adapter of the method mmea" in capsys.readouterr().err
    assert not list(gated.glob("m.pth*"))


def test_gates_are_inspected_and_compared(
    run: Path, gated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(gated / "adapter.safetensors")]) == 0
    values = json.loads((gated / "metrics.json").read_text())["stored_values"]
    assert f"{values:,} stored values" in capsys.readouterr().out
    assert main(["compare", str(run), str(gated), "--out", str(tmp_path / "c.html")]) == 0


def test_the_config_file_runs_again_to_the_same_adapter(run: Path, tmp_path: Path) -> None:
    words = ["finetune", "--config", str(run / "config.yaml"), "--out", str(tmp_path / "again")]
    assert main(words) == 0
    first, second = (load_adapter(folder / "adapter.safetensors") for folder in (run, tmp_path / "again"))
    assert first.stored.keys() == second.stored.keys()
    for name, parts in first.stored.items():
        assert all(torch.equal(parts[part], second.stored[name][part]) for part in parts)


def start_and_kill(words: list[str], begun: Callable[[], bool], delay: float, *, limit: float = 300) -> None:
    """Run a command in a process of its own and kill it `delay` seconds after it began, with no chance to tidy up."""
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # as in this process: sums in the same order
    process = subprocess.Popen(
        [sys.executable, "-m", "equisparse.cli", *words], stdout=subprocess.DEVNULL, env=one_thread
    )
    deadline = time.monotonic() + limit
    while not begun() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    with suppress(subprocess.TimeoutExpired):
        process.wait(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()


def assert_whole(folder: Path) -> None:
    """Whatever a folder holds under a final name can be read to its end."""
    for path in folder.rglob("[!.]*"):
        if path.name == "adapter.safetensors":
            load_adapter(path)
        elif path.suffix == ".ckpt":
            torch.load(path, weights_only=True)
        elif path.suffix == ".pth":
            torch.load(path, weights_only=False)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                assert all(len(arrays[name]) for name in arrays)
        elif path.suffix == ".csv":
            assert len({len(row) for row in csv.reader(path.read_text().splitlines())}) == 1
        elif path.suffix == ".html":
            assert path.read_text().rstrip().endswith("</html>")


def assert_equal_ends(whole: Path, resumed: Path) -> None:
    """Two runs have the same adapter bit for bit, and learning curves of the same length."""
    first, second = (load_adapter(folder / "adapter.safetensors") for folder in (whole, resumed))
    assert first.stored.keys() == second.stored.keys()
    for name, parts in first.stored.items():
        assert all(torch.equal(parts[part], second.stored[name][part]) for part in parts)
    assert len(read_rows(whole / "metrics.csv")) == len(read_rows(resumed / "metrics.csv"))


def test_kill_and_resume_ends_where_an_uninterrupted_run_ends(
    run: Path, frames: dict[str, str], tmp_path: Path
) -> None:
    """Killed once while it trains, and once, after its adapter is written, while it saves the rest."""
    out = tmp_path / "cut"
    words = command(frames, out, "--epochs", "8", "--changed", "0.02", "--seed", "3")
    start_and_kill(words, (out / "checkpoints" / "last.ckpt").exists, 1.0)
    assert not (out / "adapter.safetensors").exists(), "the run ended before it could be killed"
    assert_whole(out)
    start_and_kill([*words, "--resume"], (out / "adapter.safetensors").exists, 0.2)
    assert not (out / "report.html").exists(), "the run ended before it could be killed"
    assert_whole(out)
    assert main([*words, "--resume"]) == 0
    assert_equal_ends(run, out)
    assert_whole(out)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random_moments_a_run_still_ends_the_same(
    run: Path, frames: dict[str, str], tmp_path: Path, seed: int
) -> None:
    out = tmp_path / "cut"
    words = command(frames, out, "--epochs", "8", "--changed", "0.02", "--seed", "3")
    last = out / "checkpoints" / "last.ckpt"
    for moment in np.random.default_rng(seed).uniform(0, 12, 5):
        start_and_kill([*words, "--resume"] if last.exists() else words, out.exists, moment)
        assert_whole(out)
    assert main([*words, "--resume"] if last.exists() else words) == 0
    assert_equal_ends(run, out)


@pytest.mark.parametrize("delay", [0.0, *(pytest.param(0.1 * n, marks=pytest.mark.slow) for n in range(1, 12))])
def test_a_merge_that_is_killed_leaves_no_file_that_was_not_checked(run: Path, tmp_path: Path, delay: float) -> None:
    out = tmp_path / "out" / "m.pth"
    words = ["merge", str(run / "adapter.safetensors"), "--base", "7net-0", "--out", str(out), "--device", "cpu"]
    start_and_kill(words, lambda: out.parent.exists() and any(out.parent.iterdir()), delay)
    assert out.parent.exists()
    assert delay or not out.exists()
    assert_whole(out.parent)


def test_a_run_that_was_cut_off_before_its_first_checkpoint_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "out" / "checkpoints").mkdir(parents=True)
    assert prepare_folder(FinetuneConfig(train=["demo"], out=str(tmp_path / "out"))) == tmp_path / "out"


LIMITED = """
import resource, sys
from equisparse.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000,) * 2)
sys.exit(main(sys.argv[1:]))
"""
"""The command line with a largest size of files: to a program the same as a disk that has so much room."""


@pytest.mark.parametrize("name", ["finetune", "merge"])
def test_a_disk_that_fills_up_is_told(run: Path, frames: dict[str, str], tmp_path: Path, name: str) -> None:
    """A checkpoint takes some twelve megabytes, a merged model ten."""
    out = tmp_path / "out"
    words = command(frames, out, "--epochs", "1")
    if name == "merge":
        words = ["merge", str(run / "adapter.safetensors"), "--base", "7net-0", "--out", str(out / "merged.pth")]
    done = subprocess.run([sys.executable, "-c", LIMITED, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr[-2000:]
    assert "cannot be written" in done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert_whole(out)
    assert not [path for path in out.rglob("*") if path.suffix in (".ckpt", ".pth")]


def test_a_finished_folder_is_not_overwritten(
    run: Path, frames: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "adapter.safetensors").read_bytes()
    assert main(command(frames, run, "--epochs", "1")) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert (run / "adapter.safetensors").read_bytes() == before


def test_bad_labels_stop_before_training(
    frames: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = ase.io.read(frames["train"], ":")
    for atoms in broken:
        atoms.arrays["REF_forces"][:] = 0
    ase.io.write(tmp_path / "zero.extxyz", broken)
    assert main(["finetune", str(tmp_path / "zero.extxyz"), "--out", str(tmp_path / "out"), "--device", "cpu"]) == 2
    captured = capsys.readouterr()
    assert "nothing was trained" in captured.err
    assert "error" in captured.out
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_a_size_asked_for_is_given(frames: dict[str, str], tmp_path: Path) -> None:
    words = command(frames, tmp_path / "small", "--epochs", "2", "--budget", "40KB", "--method", "sparse")
    assert main(words) == 0
    metrics = json.loads((tmp_path / "small" / "metrics.json").read_text())
    assert 30_000 <= metrics["adapter_bytes"] <= 40_000  # how well the values can be compressed is not known before
    layout = load_adapter(tmp_path / "small" / "adapter.safetensors").layout
    fitting = entries_in(value_bytes(40_000, layout, Entries()), layout, torch.float16)
    assert metrics["stored_values"] == fitting > 10_000
    assert metrics["adapter_bytes"] == (tmp_path / "small" / "adapter.safetensors").stat().st_size


def test_a_size_too_small_stops_before_training(
    frames: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(frames, tmp_path / "tiny", "--epochs", "1", "--budget", "1KB")) == 2
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
    frames: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken_from(1, monkeypatch)
    assert main(command(frames, tmp_path / "run", "--epochs", "5")) == 0
    assert "the loss is NaN" in capsys.readouterr().out
    losses = [float(row["valid_loss"]) for row in read_rows(tmp_path / "run" / "metrics.csv")]
    assert len(losses) == 2
    assert np.isfinite(losses).tolist() == [True, False]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    errors = [metrics[stage]["valid"]["force_mae_mev_per_ang"] for stage in ("final", "refit")]
    assert errors[0] < errors[1]


def test_a_training_without_any_good_epoch_is_an_error(
    frames: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken_from(1, monkeypatch)
    assert main(command(frames, tmp_path / "run", "--epochs", "5", "--changed", "0.02")) == 2
    assert "no earlier epoch to keep" in capsys.readouterr().err
    assert not (tmp_path / "run" / "adapter.safetensors").exists()
