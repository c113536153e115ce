"""Two processes started by torchrun train as one does, and survive the loss of one of them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import pytest
import torch

import equisparse
from equisparse.adapters.file import load_adapter
from equisparse.run.folder import read_run

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")

SCRIPT = """
import os, signal, sys
from functools import partial
from equisparse.cli import main
from equisparse.tasks import finetune as task
from equisparse.training.task import FinetuneTask

started = FinetuneTask.on_train_epoch_start

def start(training):
    if training.global_rank == 1 and training.current_epoch == int(os.environ.get("KILLED_IN", -1)):
        os.kill(os.getpid(), signal.SIGKILL)
    started(training)

FinetuneTask.on_train_epoch_start = start
task.finetune_config = partial(task.finetune_config, report=False)
sys.exit(main(sys.argv[1:]))
"""
"""The command line without reports, in which the second process may be killed at the start of an epoch."""


@pytest.fixture
def options(frames: dict[str, str], small_base: str, tmp_path: Path) -> dict[str, Any]:
    """Options of a fine-tune with replay, anchor, average and stages of five frames: the last batch is one frame."""
    train = str(tmp_path / "train.extxyz")
    ase.io.write(train, ase.io.read(frames["train"], ":5"))
    files = {"train": train, "valid": frames["valid"], "replay": frames["test"], "base": small_base}
    training = {"epochs": 4, "optimizer": "adamw", "changed": 0.02, "seed": 3, "device": "cpu", "dtype": "float64"}
    return files | training | {"batch_size": 4, "replay_batch_size": 2, "ema": 0.5}


@pytest.fixture
def two_processes(options: dict[str, Any], tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Function that trains as two processes with the same batch together; it gives the exit code and the text."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    halves = options | {name: options[name] // 2 for name in ("batch_size", "replay_batch_size")}
    pairs = [(f"--{name.replace('_', '-')}", str(value)) for name, value in halves.items() if name != "train"]
    words = ["finetune", options["train"], "--devices", "2", *(word for pair in pairs for word in pair)]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

    def run(*more: str, **variables: str) -> tuple[int, str]:
        environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
        start = [sys.executable, *launcher, str(script), *words, *more]
        done = subprocess.run(start, capture_output=True, text=True, env=environment, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def curve(folder: Path) -> list[dict[str, float]]:
    """Learning curve of a run, without the times."""
    return [{k: v for k, v in epoch.to_dict().items() if k != "seconds"} for epoch in read_run(folder).curve]


def errors(folder: Path) -> list[dict[str, float]]:
    """Errors of the base and of the result on every split, where there are labels."""
    metrics = read_run(folder).metrics
    splits = [*metrics.base.values(), *metrics.final.values()]
    return [{name: value for name, value in split.items() if value is not None} for split in splits]


def test_two_processes_of_which_one_is_killed_train_as_one(
    options: dict[str, Any], two_processes: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    equisparse.finetune(**options, out=one, report=False)
    code, text = two_processes("--out", str(two), KILLED_IN="2")
    assert code != 0
    assert "Another process of this command ended" in text or "interrupted; continue" in text, text
    assert "--resume" in text
    code, text = two_processes("--out", str(two), "--resume")
    assert code == 0, text
    assert curve(two) == [pytest.approx(epoch, rel=1e-5) for epoch in curve(one)]
    assert errors(two) == [pytest.approx(split, rel=1e-4) for split in errors(one)]
    first, second = (load_adapter(folder / "adapter.safetensors").stored for folder in (one, two))
    assert first.keys() == second.keys()
    for name, parts in first.items():
        for part, values in parts.items():
            torch.testing.assert_close(second[name][part], values, rtol=1e-3, atol=1e-6)
