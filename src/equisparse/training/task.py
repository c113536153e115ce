"""The Lightning task: one backbone with one method attached."""

from typing import Any

import torch
from lightning.pytorch import LightningModule
from schedulefree import AdamWScheduleFree
from torch import Tensor, nn

from equisparse.adapters.attach import Attachment
from equisparse.backbones.base import AbstractBackbone
from equisparse.training.dataset import Targets
from equisparse.training.errors import ErrorSums
from equisparse.training.loss import Loss
from equisparse.training.optim import build_optimizer, build_schedule
from equisparse.training.options import TrainingOptions


class FinetuneTask(LightningModule):
    """Trains the deltas of an attachment. Its state is the deltas alone, so checkpoints hold nothing of the base.

    Parameters
    ----------
    backbone : AbstractBackbone
        With `attachment` attached to its model.
    attachment : Attachment
    options : TrainingOptions
        Resolved.
    total_steps : int
        Optimiser steps of the whole run.
    """

    def __init__(
        self, backbone: AbstractBackbone, attachment: Attachment, options: TrainingOptions, total_steps: int
    ) -> None:
        super().__init__()
        self.deltas = nn.ModuleList(attachment.deltas.values())
        self._backbone, self._attachment = backbone, attachment
        self._controller = attachment.controller()
        self._options, self._total_steps = options, total_steps
        self._loss = Loss(options.energy_weight, options.force_weight, options.stress_weight, options.huber_delta)
        self.train_errors, self.valid_errors = ErrorSums(), ErrorSums()
        self._valid_losses: list[tuple[float, int]] = []

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self.deltas, self._options)  # type: ignore[arg-type]
        schedule = build_schedule(optimizer, self._options, self._controller, self._total_steps)
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, batch: tuple[Any, Targets], _: int) -> Tensor:
        graphs, targets = batch[0], batch[1].to(self._backbone.device)
        prediction = self._backbone.predict(graphs, training=True)
        self.train_errors.update(prediction, targets)
        return self._loss(prediction, targets)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self._controller.before_step(self.global_step, self._total_steps)

    def on_train_batch_end(self, *_: Any) -> None:
        self._controller.after_step(self.global_step - 1, self._total_steps)

    def validation_step(self, batch: tuple[Any, Targets], _: int) -> None:
        graphs, targets = batch[0], batch[1].to(self._backbone.device)
        prediction = self._backbone.predict(graphs)
        self.valid_errors.update(prediction, targets)
        self._valid_losses.append((float(self._loss(prediction, targets)), len(targets.n_atoms)))

    def on_train_epoch_start(self) -> None:
        self.train_errors = ErrorSums()
        self._average(False)

    def on_validation_epoch_start(self) -> None:
        self.valid_errors, self._valid_losses = ErrorSums(), []
        self._average(True)

    def on_validation_epoch_end(self) -> None:
        self.valid_errors.sums = self._summed(self.valid_errors.sums)
        weighted = [(0.0, 0.0), *((loss * n, float(n)) for loss, n in self._valid_losses)]
        total = self._summed(torch.tensor(weighted, dtype=torch.float64).sum(0))
        ready = self._controller.ready(self.global_step, self._total_steps)
        self.log("valid_loss", float(total[0] / total[1]) if ready else float("inf"), sync_dist=False)

    def on_validation_end(self) -> None:
        if self.trainer.training:
            self._average(False)

    def changed_fraction(self) -> float:
        """Entries that are not the base's now, over all parameters of the base."""
        return self._attachment.changed_count() / self._attachment.layout.total_parameters

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return batch  # the backbone moves its own batches

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
