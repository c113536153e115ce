"""A training on one process is one process, whatever a job script or a launcher left in the environment."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from ase import Atoms
from lightning.fabric.utilities.rank_zero import rank_zero_only

import equisparse
from equisparse.backbones import device
from equisparse.errors import BackboneError, InputError
from equisparse.training.options import TrainingOptions
from equisparse.training.processes import process_rank, trainer_arguments
from equisparse.training.task import FinetuneTask

STRAY = [
    {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "job", "SLURM_JOB_ID": "7"},
    {"RANK": "1"},
    {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "nowhere", "MASTER_PORT": "1"},
    {"SLURM_PROCID": "2"},
    {"SLURM_PROCID": "3", "SLURM_LOCALID": "3", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "job", "SLURM_NODEID": "1"},
    {"LOCAL_RANK": "x", "NODE_RANK": "2"},
]


@pytest.mark.parametrize("variables", STRAY, ids=lambda variables: " ".join(variables))
def test_one_process_trains_as_one(
    variables: dict[str, str],
    frames: list[Atoms],
    valid: list[Atoms],
    options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero_only, "rank", 3)  # as Lightning would have found it on import
    run = equisparse.finetune(frames, valid=valid, **options)
    assert run.metrics.steps == 6
    assert rank_zero_only.rank == 3


@pytest.mark.parametrize("text", ["4", "-1", "x"])
def test_a_rank_that_is_none_of_several_processes_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    several = TrainingOptions(devices=2, num_nodes=2)
    assert process_rank(several) == 0
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert process_rank(several) == 3
    monkeypatch.setenv("RANK", text)
    with pytest.raises(InputError, match="RANK="):
        process_rank(several)
    assert process_rank(TrainingOptions()) == 0


def test_in_a_shell_of_slurm_the_rank_is_that_of_lightning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("LOCAL_RANK", "2")
    several = TrainingOptions(devices=4)
    assert process_rank(several) == 0
    monkeypatch.setenv("SLURM_JOB_NAME", "bash")
    assert process_rank(several) == 2


def test_devices_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackboneError, match="kind of device"):
        device.resolve_device("meta")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(BackboneError, match="no such CUDA device"):
        device.resolve_device("cuda:2")
    with pytest.raises(InputError, match="fewer GPUs"):
        trainer_arguments(TrainingOptions(devices=3), torch.device("cuda"))
    assert trainer_arguments(TrainingOptions(), torch.device("cuda", 1))["devices"] == [1]
    with pytest.raises(InputError, match="same GPU"):
        trainer_arguments(TrainingOptions(devices=2), torch.device("cuda", 1))
    for text, index in (("1", 1), ("5", 0), ("x", 0)):
        monkeypatch.setenv("LOCAL_RANK", text)
        assert device.resolve_device("auto").index == device.resolve_device("cuda").index == index
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert trainer_arguments(TrainingOptions(devices=2), torch.device("cuda", 1))["devices"] == 2


@pytest.fixture
def handler() -> Iterator[Callable[..., object]]:
    """Python's handler of Ctrl-C, in place also where the tests run in the background and the shell ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_sigterm_and_sigusr1_end_as_an_interruption(
    files: dict[str, str],
    options: dict[str, Any],
    handler: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = FinetuneTask.on_train_epoch_start
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        with monkeypatch.context() as patch:

            def start(task: FinetuneTask, number: int = number) -> None:
                started(task)
                if task.current_epoch in (2, 4, 6):
                    os.kill(os.getpid(), number)

            patch.setattr(FinetuneTask, "on_train_epoch_start", start)
            with pytest.raises(KeyboardInterrupt):
                equisparse.finetune(files["train"], **options | {"resume": number is not signal.SIGINT, "epochs": 9})
        assert signal.getsignal(signal.SIGINT) is handler
    run = equisparse.finetune(files["train"], **options | {"resume": True, "epochs": 9})
    assert len(run.curve) == 9
