"""Two processes started by torchrun train as one does, and survive the loss of one of them."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from equisparse.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")

KILLED = """
import os, signal, sys
from equisparse.cli import main
from equisparse.training.task import FinetuneTask

started = FinetuneTask.on_train_epoch_start

def start(task):
    if task.current_epoch == int(os.environ.get("KILLED_IN_EPOCH", -1)) and task.global_rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    started(task)

FinetuneTask.on_train_epoch_start = start
sys.exit(main(sys.argv[1:]))
"""
"""The command line, in which the second process may be killed at the start of an epoch."""


def torchrun(script: Path, words: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command line as two processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
    return subprocess.run(
        [*launcher, str(script), *words], capture_output=True, text=True, env=environment, check=False
    )


def curve(run: Path) -> list[dict[str, float]]:
    """Learning curve without the times."""
    with (run / "metrics.csv").open() as file:
        rows = [{name: float(text) for name, text in row.items()} for row in csv.DictReader(file)]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_two_processes_of_which_one_is_killed_train_as_one(
    frames: dict[str, str], small_base: str, command: Callable[..., list[str]], tmp_path: Path
) -> None:
    """Five frames: the last batch has one frame only, and one process has none of it."""
    script, one, two = tmp_path / "killed.py", tmp_path / "one", tmp_path / "two"
    script.write_text(KILLED)
    options = ("--base", small_base, "--dtype", "float64", "--changed", "0.02", "--replay", frames["train"])
    more = ("--epochs", "4", "--optimizer", "adamw", "--no-report")
    words = ["finetune", frames["test"], frames["valid"], *command(one)[2:], *options, *more]
    del words[1:3]
    assert main(words) == 0
