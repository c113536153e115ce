"""Runs that are killed, resumed, repeated or short of room: what they leave is whole, and their ends are equal."""

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from equisparse.adapters.file import load_adapter
from equisparse.cli import main
from equisparse.config.finetune import FinetuneConfig
from equisparse.tasks.resume import prepare_folder

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")
Command = Callable[..., list[str]]
Kill = Callable[..., None]
ONE_THREAD = "import torch; torch.set_num_threads(1)"
"""As in the process of the tests: sums in the same order."""


@pytest.fixture(scope="module")
def words(small_base: str) -> tuple[str, ...]:
    """Options of a fine-tune of many short epochs."""
    return ("--base", small_base, "--epochs", "20", "--changed", "0.02", "--seed", "3")


@pytest.fixture(scope="module")
def run(command: Command, words: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run that was never interrupted."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(command(out, *words)) == 0
    return out


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def start_and_kill(start: Callable[..., Any]) -> Callable[..., None]:
    """Function that runs a command in a process of its own and kills it, with no chance to tidy up."""

    def killed(words: list[str], begun: Callable[[], bool], delay: float, *, limit: float = 300) -> None:
        """Kill it `delay` seconds after it began."""
        process = start("equisparse", *words, code=ONE_THREAD).process
        deadline = time.monotonic() + limit
        while not begun() and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.join(delay)
        process.kill()
        process.join()

    return killed


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
    run: Path, command: Command, words: tuple[str, ...], tmp_path: Path, start_and_kill: Kill
) -> None:
    """Killed once while it trains, and once, after its adapter is written, while it saves the rest."""
    out = tmp_path / "cut"
    start_and_kill(command(out, *words), (out / "checkpoints" / "last.ckpt").exists, 0.3)
    assert not (out / "adapter.safetensors").exists(), "the run ended before it could be killed"
    assert_whole(out)
    start_and_kill(command(out, *words, "--resume"), (out / "adapter.safetensors").exists, 0.2)
    assert not (out / "report.html").exists(), "the run ended before it could be killed"
    assert_whole(out)
    assert main(command(out, *words, "--resume")) == 0
    assert_equal_ends(run, out)
    assert_whole(out)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random_moments_a_run_still_ends_the_same(
    run: Path, command: Command, words: tuple[str, ...], tmp_path: Path, start_and_kill: Kill, seed: int
) -> None:
    out = tmp_path / "cut"
    last = out / "checkpoints" / "last.ckpt"
    for moment in np.random.default_rng(seed).uniform(0, 12, 5):
        start_and_kill(command(out, *words, *(["--resume"] if last.exists() else [])), out.exists, moment)
        assert_whole(out)
    assert main(command(out, *words, *(["--resume"] if last.exists() else []))) == 0
    assert_equal_ends(run, out)


def test_the_config_file_runs_again_to_the_same_adapter(run: Path, tmp_path: Path) -> None:
    words = ["finetune", "--config", str(run / "config.yaml"), "--out", str(tmp_path / "again")]
    assert main(words) == 0
    assert_equal_ends(run, tmp_path / "again")


@pytest.mark.parametrize("delay", [0.0, *(pytest.param(0.1 * n, marks=pytest.mark.slow) for n in range(1, 12))])
def test_a_merge_that_is_killed_leaves_no_file_that_was_not_checked(
    run: Path, small_base: str, tmp_path: Path, start_and_kill: Kill, delay: float
) -> None:
    out = tmp_path / "out" / "m.pth"
    words = ["merge", str(run / "adapter.safetensors"), "--base", small_base, "--out", str(out), "--device", "cpu"]
    start_and_kill(words, lambda: out.parent.exists() and any(out.parent.iterdir()), delay)
    assert out.parent.exists()
    assert delay or not out.exists()
    assert_whole(out.parent)


def test_a_run_that_was_cut_off_before_its_first_checkpoint_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "out" / "checkpoints").mkdir(parents=True)
    assert prepare_folder(FinetuneConfig(train=["demo"], out=str(tmp_path / "out"))) == tmp_path / "out"


LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (40_000,) * 2)"
"""A largest size of files: to a program the same as a disk that has so much room."""


@pytest.mark.parametrize("name", ["finetune", "merge"])
def test_a_disk_that_fills_up_is_told(
    run: Path, command: Command, small_base: str, tmp_path: Path, start: Callable[..., Any], name: str
) -> None:
    """A checkpoint and a merged model are larger than that."""
    out = tmp_path / "out"
    words = command(out, "--base", small_base, "--epochs", "1")
    if name == "merge":
        words = ["merge", str(run / "adapter.safetensors"), "--base", small_base, "--out", str(out / "merged.pth")]
    program = start("equisparse", *words, code=LIMIT).ended()
    told = program.stderr.read_text()
    assert program.process.exitcode == 2, told[-2000:]
    assert "cannot be written" in told
    assert "File too large" in told
    assert "Traceback" not in told
    assert_whole(out)
    assert not [path for path in out.rglob("*") if path.suffix in (".ckpt", ".pth")]


def test_a_finished_folder_is_not_overwritten(run: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "adapter.safetensors").read_bytes()
    assert main(command(run, "--epochs", "1")) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert (run / "adapter.safetensors").read_bytes() == before
