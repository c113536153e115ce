"""Checkpoints: atomic writes on any file system, and the checks before a training is resumed."""

import pickle
import time
from pathlib import Path
from typing import Any, TypedDict

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from equisparse.backbones.base import Predictor
from equisparse.errors import StateError
from equisparse.files import make_folder, replacing
from equisparse.training.names import CHECKPOINTS, LAST
from equisparse.training.options import Rounds

BASE = "base_sha256"
"""Key of the base's fingerprint in a checkpoint."""
CONTROLLER = "controller"
"""Key of the state of the method's controller in a checkpoint."""
AVERAGE = "average"
"""Key of the state of the average of the trained weights in a checkpoint."""
TRAIN_ERRORS = "train_errors"
"""Key of the error sums of the training frames since the last validation in a checkpoint."""

_DAMAGE = (RuntimeError, OSError, EOFError, pickle.UnpicklingError, LookupError, TypeError, ValueError, AttributeError)
"""Errors of torch for files that are damaged or no checkpoints."""


class Checkpoint(TypedDict):
    """Parts of a checkpoint of Lightning that are compared before a training is resumed."""

    state_dict: dict[str, Tensor]
    optimizer_states: list[dict[str, list[dict[str, object]]]]
    epoch: int
    global_step: int


class TimedCheckpoints(Callback):
    """Callback that writes a checkpoint within a round of steps if the last one is old enough.

    Lightning's own option for this has no effect with manual optimisation. The last step of a round is left out: a
    validation and its checkpoint follow.

    Parameters
    ----------
    path : Path
        File, replaced each time.
    seconds : float
        Least time between two checkpoints.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self._path, self._seconds, self._last = path, seconds, time.monotonic()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._last = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        due = time.monotonic() - self._last > self._seconds
        if trainer.is_last_batch or not trainer.strategy.reduce_boolean_decision(due, all=False):
            return
        trainer.save_checkpoint(self._path)
        self._last = time.monotonic()


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoint writer that writes a temporary file beside the target and then replaces the target.

    Lightning's own writer uses the system's folder for temporary files. If that is on another file system, its last
    step is a copy, and an interrupted run can lose its previous checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write one checkpoint; Lightning calls this."""
        make_folder(Path(path).parent)
        with replacing(Path(path)) as file:
            torch.save(checkpoint, file)


def require_checkpoint(folder: Path) -> Path:
    """Checkpoint to resume from in the folder of a run.

    Raises
    ------
    StateError
        If there is none.
    """
    last = folder / CHECKPOINTS / LAST
    if not last.exists():
        raise StateError(
            "There is no checkpoint to resume from.",
            expected=str(last),
            cause="the run was stopped before its first epoch was done, or this is another folder",
            next_step="omit --resume, or give the --out of that run",
        )
    return last


def check_resumable(folder: Path, backbone: Predictor) -> Checkpoint:
    """Check that the folder of a run has a checkpoint that was trained on this base, and return its contents.

    Raises
    ------
    StateError
        If there is no checkpoint, if it is damaged, or if it belongs to another base.
    """
    last, identity = require_checkpoint(folder), backbone.identity
    try:
        contents = torch.load(last, weights_only=True, mmap=True, map_location="cpu")
        base_sha256 = str(contents.get(BASE, identity.sha256))
    except _DAMAGE as error:
        raise StateError(
            "The checkpoint to resume from cannot be read.",
            given=str(last),
            cause=f"a damaged file ({type(error).__name__})",
            next_step="start a new run in another --out",
        ) from error
    if base_sha256 != identity.sha256:
        raise StateError(
            "The run to be resumed was started on another base model.",
            given=f"{identity.source} (sha256 {identity.sha256[:12]}...)",
            expected=f"sha256 {base_sha256[:12]}...",
            cause="the file of the base has changed since, or another --base was given",
            next_step="give the base of that run, or start a new run in another --out",
        )
    checkpoint: Checkpoint = contents
    return checkpoint


def check_fits(checkpoint: Checkpoint, task: nn.Module, rounds: Rounds) -> None:
    """Check that a checkpoint has the trained parameters of a task, its optimiser, and no more epochs than asked for.

    Runs of this version are compared option by option before; this is for those that an earlier version started.

    Raises
    ------
    StateError
        If it does not fit.
    """
    shapes = {name: value.shape for name, value in checkpoint["state_dict"].items()}
    if shapes != {name: value.shape for name, value in task.state_dict().items()}:
        raise _not_fitting("the method, its options or its targets")
    kept = checkpoint["optimizer_states"][0]["param_groups"]
    made = task.configure_optimizers()  # type: ignore[operator]
    groups = (made["optimizer"] if isinstance(made, dict) else made).param_groups
    if [set(group) - {"initial_lr"} for group in kept] != [set(group) - {"initial_lr"} for group in groups]:
        raise _not_fitting("the optimiser")
    if (done := checkpoint["epoch"] + 1) > rounds.count:
        raise _not_fitting(f"the number of epochs: {done} are done, {rounds.count} asked for")


def _not_fitting(what: str) -> StateError:
    """Error for a checkpoint of another training."""
    return StateError(
        "The run was started with other options, so it cannot be resumed with these.",
        cause=f"what differs is {what}",
        next_step="resume with --config and the config.yaml of the run, or start a new run in another --out",
    )
