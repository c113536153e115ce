"""Processes of a command: how many there are, and which of them this one is."""

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TypedDict

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.rank_zero import rank_zero_only

from equisparse.backbones.device import local_index
from equisparse.errors import InputError, StateError
from equisparse.methods.processes import alone
from equisparse.training.options import ProcessOptions, TrainingOptions

_RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK")
"""Environment variables of torchrun, SLURM and Lightning's child processes that hold the rank of a process."""
_SHELLS = ("bash", "interactive")
"""Names of SLURM jobs that are a shell: Lightning starts the processes then, because SLURM started the shell only."""
_BACKENDS = ("gloo", "NCCL")
"""Names in the messages of torch's errors of communication, which have no class of their own with gloo."""


class TrainerArguments(TypedDict):
    """Arguments of Lightning's Trainer that describe the processes and their devices."""

    accelerator: str
    devices: int | list[int]
    num_nodes: int
    strategy: str


def process_rank(options: ProcessOptions) -> int:
    """Rank of this process among those of a command; 0 if the options ask for one process only.

    A command on one process ignores the environment: a job script may have reserved several tasks and start one, and
    a shell may have inherited variables of a launcher.

    Raises
    ------
    InputError
        If several processes are asked for, and the environment has a rank that is none of them.
    """
    if options.processes == 1:
        return 0
    shell = SLURMEnvironment.job_name() in _SHELLS
    names = [name for name in _RANKS if name in os.environ and not (shell and name == "SLURM_PROCID")]
    name, text = next(((name, os.environ[name]) for name in names), ("RANK", "0"))
    if not text.isdecimal() or int(text) >= options.processes:
        raise InputError(
            "The rank of this process does not fit the number of processes.",
            given=f"{name}={text} in the environment, --devices {options.devices} --num-nodes {options.num_nodes}",
            expected=f"a rank from 0 to {options.processes - 1}",
            cause="torchrun or srun started another number of processes",
            next_step="set --devices to the processes per node, and --num-nodes to the number of nodes",
        )
    return int(text)


def trainer_arguments(options: TrainingOptions, device: torch.device) -> TrainerArguments:
    """Arguments of Lightning's Trainer for the processes that the options ask for.

    Raises
    ------
    InputError
        If there are fewer GPUs than processes of a node, or all processes are sent to the same one.
    """
    on_gpu = device.type == "cuda"
    if on_gpu and options.devices > torch.cuda.device_count():
        raise InputError(
            "There are fewer GPUs than processes.",
            given=f"--devices {options.devices}",
            expected=f"at most {torch.cuda.device_count()} on this node",
            next_step="set --devices to the number of GPUs, or add --device cpu",
        )
    several = options.processes > 1
    if several and on_gpu and (device.index or 0) != local_index():
        raise one_gpu(f"--device {device} for all processes")
    return {
        "accelerator": "gpu" if on_gpu else "cpu",
        "devices": options.devices if several or not on_gpu else [device.index or 0],
        "num_nodes": options.num_nodes,
        "strategy": "ddp" if several else "auto",
    }


def one_gpu(given: str) -> InputError:
    """Error for processes that would share a GPU; `given` says how."""
    return InputError(
        "Several processes would use the same GPU.",
        given=given,
        expected="one GPU for each process of a node",
        cause="more processes per node than GPUs, or an index of a GPU in --device",
        next_step="set --devices to the number of GPUs per node and leave --device at auto; or add --device cpu",
    )


def environments(options: TrainingOptions) -> list[LightningEnvironment]:
    """Environment for Lightning; none for several processes, which Lightning finds by itself."""
    return [LightningEnvironment()] if options.processes == 1 else []


@contextmanager
def known_rank(options: TrainingOptions) -> Iterator[None]:
    """Let a single process be the first one and alone within the block.

    Lightning reads the environment on import, and torch may have a group of processes that share other work.
    """
    before = vars(rank_zero_only).get("rank")
    if options.processes == 1:
        vars(rank_zero_only)["rank"] = 0
    try:
        with alone() if options.processes == 1 else nullcontext():
            yield
    finally:
        vars(rank_zero_only)["rank"] = before


@contextmanager
def joined() -> Iterator[None]:
    """Turn the errors of torch within the block for a process that cannot be reached any more into one of ours.

    Raises
    ------
    StateError
        If another process ended.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.distributed.DistError) and not any(text in str(error) for text in _BACKENDS):
            raise
        raise StateError(
            "Another process of this command ended or cannot be reached, so this one stops, too.",
            cause="it was killed, by hand, for its memory or by the job system, or it failed; its own message says why",
            next_step="start all processes again, a training with --resume: it goes on from the last checkpoint",
        ) from error


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Suppress Lightning's advice on loaders and devices within the block; errors are still raised."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", message=".*(num_workers|Checkpoint directory|lr_scheduler.step).*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM, and SIGUSR1 before the end of a job within the block end as KeyboardInterrupt.

    Lightning ends the whole program instead, and ignores Ctrl-C from then on. In a job of SLURM, it would take SIGUSR1
    to write a checkpoint in the middle of a step and to requeue the job by itself.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        with _warned_before_end():
            yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


@contextmanager
def _warned_before_end() -> Iterator[None]:
    """Let SIGUSR1, which SLURM sends before the end of a job if it is asked to, raise KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGUSR1"):
        yield
        return
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)
