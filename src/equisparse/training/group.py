"""A group of processes that share the work of a command, and exchange plain values instead of gradients."""

import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.strategies.ddp import DDPStrategy

from equisparse.training.options import ProcessOptions
from equisparse.training.processes import joined, one_gpu, process_rank, quiet_lightning

_PATIENCE = timedelta(days=60)
"""Longest time that a process waits for the others: one may have a whole training more to do."""
Value = TypeVar("Value")


@dataclass(frozen=True)
class Group:
    """Processes that work on the same command.

    Parameters
    ----------
    size : int
    rank : int
        Index of this process, from 0.
    channel : ProcessGroup or None
        Through which torch sends the values; its own default if None.
    """

    size: int = 1
    rank: int = 0
    channel: torch.distributed.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """True in the process that writes files and shows results."""
        return self.rank == 0

    def owns(self, index: int) -> bool:
        """Return whether this process does the piece of work with an index; together they do every piece once."""
        return index % self.size == self.rank

    def gathered(self, value: Value) -> list[Value]:
        """Values of all processes in order of their rank; every process has to call this.

        Raises
        ------
        StateError
            If another process ended.
        """
        if self.size == 1:
            return [value]
        values: list[Value] = [value] * self.size
        with joined():
            torch.distributed.all_gather_object(values, value, self.channel)
        return values

    def of_first(self, value: Value) -> Value:
        """Value of the first process; every process has to call this, and waits for the first one."""
        return self.gathered(value)[0]

    def check_devices(self, device: torch.device) -> None:
        """Check that no two processes use the same GPU; every process has to call this.

        Raises
        ------
        InputError
            If two of them do.
        """
        gpus = [gpu for gpu in self.gathered(_gpu(device)) if gpu is not None]
        shared = len(gpus) - len(set(gpus))
        if shared:
            raise one_gpu(f"{len(gpus)} processes on {len(gpus) - shared} GPUs")


def _gpu(device: torch.device) -> tuple[str, ...] | None:
    """Identity of a GPU on all nodes; None for another device.

    Processes may each see one GPU only, which then has the same index in all of them, and the slices of one GPU (MIG)
    may have the same UUID.
    """
    if device.type != "cuda":
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return socket.gethostname(), str(torch.cuda.get_device_properties(device).uuid), visible, str(device.index or 0)


@contextmanager
def process_group(options: ProcessOptions) -> Iterator[Group]:
    """Processes that the options ask for, within the block; without a launcher, the first one starts the others.

    Raises
    ------
    InputError
        If the rank in the environment is none of these processes.
    """
    process_rank(options)  # refuses a rank that does not fit
    if options.processes == 1:
        yield Group()
        return
    with quiet_lightning(), joined():
        strategy = DDPStrategy(process_group_backend=_backend())
        fabric = Fabric(accelerator="cpu", devices=options.devices, num_nodes=options.num_nodes, strategy=strategy)
        fabric.launch()
        channel = torch.distributed.new_group(backend="gloo", timeout=_PATIENCE)
    yield Group(options.processes, fabric.global_rank, channel)


def launched_group(options: ProcessOptions) -> AbstractContextManager[Group]:
    """Processes that torchrun or srun started, within a block; one process alone if there is no such launcher.

    Lightning starts the missing processes of a training by itself, but only when it begins.

    Raises
    ------
    InputError
        If the rank in the environment is none of these processes.
    """
    return process_group(options) if _is_launched() else nullcontext(Group())


def _is_launched() -> bool:
    """Return whether torchrun or srun started this process, and so all others of its command."""
    return TorchElasticEnvironment.detect() or SLURMEnvironment.detect()


def _backend() -> str:
    """Backends of torch's group of all processes, which lasts until the program ends: torchrun allows one only."""
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
