"""The Lightning task: one backbone with one method attached."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch import LightningModule
from schedulefree import AdamWScheduleFree
from torch import Tensor, nn

from equisparse.adapters.attach import Attachment
from equisparse.backbones.base import Predictor
from equisparse.magnetism.layer import SpinLayer
from equisparse.magnetism.model import SpinModel
from equisparse.methods.base import ParameterGroup
from equisparse.training.anchor import Anchor, LayerRows, add_gradient
from equisparse.training.dataset import Sample, Targets, targets_of
from equisparse.training.errors import ErrorSums
from equisparse.training.loss import Loss
from equisparse.training.memory import Room, in_pieces
from equisparse.training.optim import build_optimizer, build_schedule
from equisparse.training.options import TrainingOptions
from equisparse.training.predict import predict
from equisparse.training.replay import Replay

BASE = "base_sha256"
"""Name of the base's fingerprint in a checkpoint."""
LOSS = "valid_loss"
"""Name of the metric that is the loss on the validation frames."""
CRITERION = "criterion"
"""Name of the metric of which the best epoch has the least: the validation loss, and the drift as far as it counts."""


class FinetuneTask(LightningModule):
    """Trains the deltas of an attachment, and a spin layer where the model has one.

    Its state is what it trains, so checkpoints hold nothing of the base.

    Parameters
    ----------
    backbone : Predictor
        With `attachment` attached to its model.
    attachment : Attachment
    options : TrainingOptions
        Resolved.
    total_steps : int
        Optimiser steps of the whole run.
    replay : Replay, optional
    layers : mapping of str to LayerRows, optional
        For the anchor.
    """

    def __init__(
        self,
        backbone: Predictor,
        attachment: Attachment,
        options: TrainingOptions,
        total_steps: int,
        replay: Replay | None = None,
        layers: Mapping[str, LayerRows] | None = None,
    ) -> None:
        super().__init__()
        self.deltas = nn.ModuleList(attachment.deltas.values())
        self.spins = backbone.layer if isinstance(backbone, SpinModel) else None
        self._backbone, self._attachment, self._flips = backbone, attachment, backbone.flips
        self._controller = attachment.controller()
        self._options, self._total_steps = options, total_steps
        self._loss = Loss.of(options, spins=self.spins is not None, flips=self._flips)
        self._anchor = Anchor(attachment, layers, options.anchor, options.seed) if options.anchor and layers else None
        self._replay = replay if options.replay_weight else None
        self.train_errors = ErrorSums(flips=self._flips)
        self._room, self._judging_room = Room(), Room()
        self._start_judging()

    def configure_optimizers(self) -> Any:
        more = [] if self.spins is None else [_spin_group(self.spins, self._options)]
        optimizer = build_optimizer(self.deltas, self._options, more)  # type: ignore[arg-type]
        schedule = build_schedule(optimizer, self._options, self._controller, self._total_steps)
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[BASE] = self._backbone.identity.sha256

    def on_fit_start(self) -> None:
        self._room = Room(alone=self.trainer.world_size == 1)

    def training_step(self, batch: Sequence[Sample], _: int) -> Tensor:
        if self.trainer.world_size > 1:  # `backward` averages over processes
            (loss,) = in_pieces(batch, self._judged_loss, self._room)
            return loss
        pieces = in_pieces(batch, lambda piece: self._loss_and_gradient(piece, batch), self._room)
        self._gradients = [_sum(parts) for parts in zip(*(gradient for _, gradient in pieces), strict=True)]
        return torch.stack([loss for loss, _ in pieces]).sum()

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        if loss.requires_grad:
            super().backward(loss, *args, **kwargs)
            return
        for parameter, gradient in zip(self.parameters(), self._gradients, strict=True):
            parameter.grad = gradient

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self._controller.before_step(self.global_step, self._total_steps)
        if self._anchor is not None:
            self._restrain(self._anchor.penalty(self.global_step))
        if self._replay is not None:
            number = self.global_step * self.trainer.world_size + self.global_rank
            batch = self._replay.batch(self._options.replay_batch_size, number)
            in_pieces(batch, lambda piece: self._add_replay(piece, batch), self._room)

    def on_train_batch_end(self, *_: Any) -> None:
        self._controller.after_step(self.global_step - 1, self._total_steps)

    def validation_step(self, batch: Sequence[Sample], _: int, dataloader_idx: int = 0) -> None:
        whole = targets_of(batch, self._backbone.dtype).to(self._backbone.device)
        for prediction, targets in in_pieces(batch, partial(predict, self._backbone), self._judging_room):
            (self.valid_errors, self.drift_errors)[dataloader_idx].update(prediction, targets)
            share = len(batch) * float(self._loss(prediction, targets, whole))
            self._losses[dataloader_idx].append((share, len(targets.n_atoms)))

    def on_train_epoch_start(self) -> None:
        self.train_errors = ErrorSums(flips=self._flips)
        self._average(False)

    def on_validation_epoch_start(self) -> None:
        self._start_judging()
        self._average(True)

    def on_validation_epoch_end(self) -> None:
        for errors in (self.valid_errors, self.drift_errors):
            errors.sums = self._summed(errors.sums)
        valid_loss, drift_loss = (self._mean(losses) for losses in self._losses)
        criterion = valid_loss + (self._options.drift_weight or 0.0) * drift_loss
        if not self._controller.ready(self.global_step, self._total_steps):
            criterion = float("inf")
        self.log(LOSS, valid_loss, sync_dist=False)
        self.log(CRITERION, criterion, sync_dist=False)

    def on_validation_end(self) -> None:
        if self.trainer.training:
            self._average(False)

    def changed_fraction(self) -> float:
        """Entries that are not the base's now, over all parameters of the base."""
        return self._attachment.changed_count() / self._attachment.layout.total_parameters

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return batch  # the backbone moves its own batches

    def _judged_loss(self, frames: Sequence[Sample]) -> Tensor:
        """Loss of a whole batch, with its graph; its errors are counted."""
        prediction, targets = predict(self._backbone, frames, training=True)
        self.train_errors.update(prediction, targets)
        return self._loss(prediction, targets)

    def _loss_and_gradient(
        self, frames: Sequence[Sample], batch: Sequence[Sample]
    ) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        """Part that frames have in the loss of their batch, and its gradient; their errors are counted if that fits."""
        prediction, targets = predict(self._backbone, frames, training=True)
        loss = self._loss(prediction, targets, self._whole(frames, batch))
        gradient = torch.autograd.grad(loss, list(self.parameters()), allow_unused=True)
        self.train_errors.update(prediction, targets)
        return loss.detach(), gradient

    def _restrain(self, restraint: Tensor) -> None:
        """Add the gradient of what holds the model at the base."""
        add_gradient(restraint, list(self.deltas.parameters()), self._mean_of_processes)

    def _add_replay(self, frames: Sequence[Sample], batch: Sequence[Sample]) -> None:
        """Add the gradient of the part that replay structures have in the loss of their batch."""
        prediction, targets = predict(self._backbone, frames, training=True)
        loss = self._loss(prediction, targets, self._whole(frames, batch))
        self._restrain(self._options.replay_weight * loss)

    def _whole(self, frames: Sequence[Sample], batch: Sequence[Sample]) -> Targets | None:
        """Labels of the batch that some frames are a piece of; None if they are all of it."""
        if len(frames) == len(batch):
            return None
        return targets_of(batch, self._backbone.dtype).to(self._backbone.device)

    def _mean_of_processes(self, gradient: Tensor) -> Tensor:
        """Mean over all processes, which is what they take of the gradients of the loss."""
        mean: Tensor = self.trainer.strategy.reduce(gradient, reduce_op="mean")
        return mean

    def _start_judging(self) -> None:
        """Forget the errors and losses of the last validation."""
        self.valid_errors, self.drift_errors = (ErrorSums(flips=self._flips) for _ in range(2))
        self._losses: tuple[list[tuple[float, int]], ...] = ([], [])

    def _mean(self, losses: list[tuple[float, int]]) -> float:
        """Mean over the frames of all processes, from sums and numbers of frames of batches; 0 if there are none."""
        weighted = [(0.0, 0.0), *((total, float(n)) for total, n in losses)]
        total = self._summed(torch.tensor(weighted, dtype=torch.float64).sum(0))
        return float(total[0] / total[1].clamp_min(1.0))

    def _summed(self, values: Tensor) -> Tensor:
        """Sum over all processes."""
        if self.trainer.world_size == 1:
            return values
        gathered: Tensor = self.all_gather(values.to(self.device)).cpu()  # type: ignore[union-attr]
        return gathered.sum(0)

    def _average(self, on: bool) -> None:
        """Schedule-free optimisers train on one point and are judged on another: switch between the two."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        if isinstance(optimizer, AdamWScheduleFree):
            optimizer.eval() if on else optimizer.train()


def _sum(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Sum of the gradients of pieces; None if no piece has one."""
    found = [part for part in parts if part is not None]
    return torch.stack(found).sum(0) if len(found) > 1 else next(iter(found), None)


def _spin_group(layer: SpinLayer, options: TrainingOptions) -> ParameterGroup:
    """All parameters of a spin layer, with a learning rate of their own that is annealed with the method's."""
    return ParameterGroup("spins", tuple(layer.parameters()), lr_factor=options.spin_lr / (options.lr or 1.0))
