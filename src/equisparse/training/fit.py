"""Fit an attached method to frames, and resume an interrupted fit."""

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import Logger

from equisparse.adapters.attach import Attachment
from equisparse.backbones.base import Predictor
from equisparse.errors import StateError
from equisparse.files import write_copy
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.precision import matrix_products
from equisparse.methods.base import Trial
from equisparse.training.anchor import LayerRows
from equisparse.training.checkpoints import TimedCheckpoints, WholeCheckpoints, check_fits, check_resumable
from equisparse.training.curve import LearningCurve
from equisparse.training.epochs import Epoch
from equisparse.training.listener import FitListener
from equisparse.training.loaders import eval_loader, rounds_of, train_loader
from equisparse.training.loggers import CurveLog, experiment
from equisparse.training.names import CHECKPOINTS, CURVE, LAST
from equisparse.training.options import Rounds, TrainingOptions
from equisparse.training.processes import (
    environments,
    interruptible,
    joined,
    known_rank,
    quiet_lightning,
    trainer_arguments,
)
from equisparse.training.progress import Progress
from equisparse.training.replay import Replay
from equisparse.training.task import CRITERION, LOSS, FinetuneTask
from equisparse.training.throughput import Throughput, ThroughputMeter


@dataclass(frozen=True)
class FitResult:
    """Result of a fit.

    Parameters
    ----------
    steps : int
        Optimiser steps, including those of earlier interrupted runs.
    seconds : float
        Training time.
    best_criterion : float
        Criterion of the best epoch: validation loss plus weighted drift; see `equisparse.training.task.CRITERION`.
    curve : list of Epoch
        Epochs in order.
    trials : tuple of Trial
        Numbers of changed entries that the method has tried; empty if the number was given.
    throughput : Throughput or None
        Speed of the steps of this process; None if a resumed run had none left.
    """

    steps: int
    seconds: float
    best_criterion: float
    curve: list[Epoch]
    trials: tuple[Trial, ...] = ()
    throughput: Throughput | None = None

    @property
    def diverged(self) -> bool:
        """True if training stopped because the loss was NaN or infinite."""
        return not math.isfinite(self.curve[-1].valid_loss or 0.0)


def fit(
    backbone: Predictor,
    attachment: Attachment,
    train: FrameDataset,
    valid: FrameDataset,
    options: TrainingOptions,
    folder: Path,
    *,
    replay: Replay | None = None,
    layers: Mapping[str, LayerRows] | None = None,
    resume: bool = False,
    listener: FitListener | None = None,
    stage_ended: Callable[[], None] | None = None,
) -> FitResult:
    """Train the deltas of an attachment, and the spin layer if there is one, and restore those of the best epoch.

    Parameters
    ----------
    backbone, attachment
        Model to train, and the method attached to it; with a spin layer, `backbone` is the `SpinModel`.
    train, valid : FrameDataset
    options : TrainingOptions
        Resolved options; see `TrainingOptions.resolved`.
    folder : Path
        Folder for ``metrics.csv`` and ``checkpoints/``.
    replay : Replay, optional
        Structures on which to preserve the predictions of the base.
    layers : mapping of str to LayerRows, optional
        Inputs and outputs of the base's layers on replay structures, for the activation-matching penalty.
    resume : bool
        Continue from the last checkpoint in `folder`. The result equals that of an uninterrupted run.
    listener : FitListener, optional
        Receives the progress of training.
    stage_ended : callable, optional
        Called when a stage of the method ends before the end of the run; the attachment then has a finished change.

    Raises
    ------
    StateError
        If there is no checkpoint to resume, if it belongs to another base, or if training diverges before the first
        epoch that can be kept.
    """
    checkpoints = folder / CHECKPOINTS
    last = checkpoints / LAST
    checkpoint = check_resumable(folder, backbone) if resume else None
    rounds = rounds_of(train, options)
    task = FinetuneTask(backbone, attachment, options, rounds.total, replay, layers, stage_ended)
    if checkpoint is not None:
        check_fits(checkpoint, task, rounds)
    curve = LearningCurve(folder / CURVE)
    best, newest = _checkpoints(checkpoints)
    meter = ThroughputMeter()
    validation_sets = [valid] if replay is None else [valid, replay.held]
    with (
        quiet_lightning(),
        known_rank(options),
        interruptible(),
        joined(),
        matrix_products(options.precision),
        experiment(options, folder) as logger,
    ):
        callbacks = [curve, best, newest, meter, *_extra_callbacks(options, curve, listener, logger)]
        if options.checkpoint_minutes:
            callbacks.append(TimedCheckpoints(last, 60 * options.checkpoint_minutes))
        trainer = _trainer(backbone, options, rounds, folder, callbacks, logger)
        trainer.fit(
            task,
            train_loader(train, options, rounds, steps_done=checkpoint["global_step"] if checkpoint else 0),
            [eval_loader(dataset, options) for dataset in validation_sets],
            ckpt_path=last if resume else None,
            weights_only=True,
        )
    score = math.nan if best.best_model_score is None else float(best.best_model_score)
    result = FitResult(trainer.global_step, curve.seconds, score, curve.epochs, task.trials, throughput=meter.result)
    if result.diverged and not math.isfinite(result.best_criterion):
        last.unlink(missing_ok=True)  # it holds no numbers that a resumed training could go on from
        raise _diverged(result, options, rounds)
    if result.diverged and trainer.is_global_zero:
        write_copy(Path(best.best_model_path), last)
    task.load_state_dict(
        torch.load(best.best_model_path, weights_only=True, map_location=backbone.device)["state_dict"]
    )
    return result


def _checkpoints(folder: Path) -> tuple[ModelCheckpoint, ModelCheckpoint]:
    """Callbacks that write the best checkpoint and, after it, the newest one.

    Lightning's ``save_last`` writes the newest one only if it is the best, so a resumed run would repeat all others.
    """
    best, newest = (
        ModelCheckpoint(
            folder,
            name,
            monitor,
            auto_insert_metric_name=False,
            enable_version_counter=False,
            save_on_train_epoch_end=True,
        )
        for name, monitor in (("best", CRITERION), (Path(LAST).stem, None))
    )
    return best, newest


def _diverged(result: FitResult, options: TrainingOptions, rounds: Rounds) -> StateError:
    """Error for a training that diverged before the first epoch that could be kept."""
    return StateError(
        "Training diverged: the loss is NaN, and there is no earlier epoch to keep.",
        given=f"learning rate {options.lr:g}, {options.round_name} {len(result.curve)} of {rounds.count}",
        cause="a learning rate that is too high, or labels that are wrong by orders of magnitude",
        next_step="halve --lr and start a new run; check the labels with `equisparse audit`",
    )


def _extra_callbacks(
    options: TrainingOptions, curve: LearningCurve, listener: FitListener | None, logger: Logger | None
) -> Iterator[Callback]:
    """Callbacks for progress, a logger and early stopping, if requested, and for a stop when the loss is not finite."""
    if listener is not None:
        yield Progress(curve, listener, options.round_name)
    if logger is not None:
        yield CurveLog(curve, logger, options)
    yield EarlyStopping(LOSS, patience=sys.maxsize, check_finite=True)
    if options.patience:
        yield _Patience(CRITERION, patience=options.patience, check_finite=False)


class _Patience(EarlyStopping):
    """Early stopping that counts epochs only from when the model meets the target of its method."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if isinstance(pl_module, FinetuneTask) and pl_module.ready:
            super().on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if isinstance(pl_module, FinetuneTask) and pl_module.ready:
            super().on_train_epoch_end(trainer, pl_module)


def _trainer(
    backbone: Predictor,
    options: TrainingOptions,
    rounds: Rounds,
    folder: Path,
    callbacks: list[Callback],
    logger: Logger | None,
) -> Trainer:
    """Lightning trainer of one run."""
    return Trainer(
        **trainer_arguments(options, backbone.device),
        max_epochs=rounds.count,
        logger=logger or False,
        callbacks=callbacks,
        plugins=[WholeCheckpoints(), *environments(options)],
        inference_mode=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        log_every_n_steps=1,
    )
