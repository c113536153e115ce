"""Measure the speed of a training: frames and atoms per second, the share of waiting for data, and memory."""

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from equisparse.inference.sample import Sample


@dataclass(frozen=True)
class Throughput:
    """Speed of the optimiser steps of a training, of all processes together; validations are left out.

    Parameters
    ----------
    processes : int
    frames, atoms : float
        Per second.
    waiting : float
        Share of the time in which the first process waited for data.
    memory : int
        Largest memory of the first process so far, bytes: of the GPU, or of the program on a CPU.
    """

    processes: int
    frames: float
    atoms: float
    waiting: float
    memory: int

    def __str__(self) -> str:
        """Return one line of text."""
        several = f" on {self.processes} processes" if self.processes > 1 else ""
        return (
            f"{self.frames:.3g} frames/s, {self.atoms:.3g} atoms/s{several}; {self.waiting:.1%} of the time waiting "
            f"for data; at most {self.memory / 1e9:.2g} GB of memory" + (" per process" if several else "")
        )


class ThroughputMeter(Callback):
    """Callback that measures the speed since this process started."""

    def __init__(self) -> None:
        self.result: Throughput | None = None
        self._frames = self._atoms = 0
        self._waiting = self._working = 0.0
        self._since = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._since = time.monotonic()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._waiting += self._lap()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Sequence[Sample], batch_idx: int
    ) -> None:
        self._working += self._lap()
        self._frames += len(batch)
        self._atoms += sum(sample.n_atoms for sample in batch)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seconds = self._waiting + self._working
        if not seconds:
            return
        device = trainer.strategy.root_device
        counts = torch.tensor([self._frames, self._atoms], dtype=torch.float64, device=device)
        frames, atoms = trainer.strategy.reduce(counts, reduce_op="sum").tolist()
        share = self._waiting / seconds
        self.result = Throughput(trainer.world_size, frames / seconds, atoms / seconds, share, _memory(device))

    def _lap(self) -> float:
        """Seconds since the last call."""
        before, self._since = self._since, time.monotonic()
        return self._since - before


def _memory(device: torch.device) -> int:
    """Largest memory in use so far, bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else 1024 * largest
