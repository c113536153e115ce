"""Lightning task of one backbone with one method attached: the order of a training step, and validation."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from schedulefree import AdamWScheduleFree
from torch import Tensor, nn

from equisparse.adapters.attach import Attachment
from equisparse.backbones.base import Predictor
from equisparse.inference.batches import unpacked
from equisparse.inference.errors import ErrorSums
from equisparse.inference.memory import BatchLimiter, in_pieces
from equisparse.inference.predict import predict
from equisparse.inference.sample import Sample
from equisparse.magnetism.layer import SpinLayer
from equisparse.magnetism.model import SpinModel
from equisparse.methods.base import ParameterGroup, Renewal, Trial
from equisparse.methods.grouped import GroupedProducts
from equisparse.training.anchor import Anchor, LayerRows
from equisparse.training.averaging import Average
from equisparse.training.checkpoints import AVERAGE, BASE, CONTROLLER, TRAIN_ERRORS
from equisparse.training.counts import whole_batch
from equisparse.training.gradients import Gradients, add_where_trained, gradients_of, mean_of_processes, summed
from equisparse.training.loss import Loss
from equisparse.training.optim import build_optimizer, build_schedule
from equisparse.training.options import TrainingOptions
from equisparse.training.probes import probe_batches, random_combination
from equisparse.training.replay import Replay

LOSS = "valid_loss"
"""Metric: loss on the validation frames."""
CRITERION = "criterion"
"""Metric that the best epoch minimises: validation loss plus the weighted loss on held-out replay structures."""


class FinetuneTask(LightningModule):
    """Training of the deltas of an attachment, and of the spin layer if the model has one.

    Its state is the trained parameters only: checkpoints contain no weights of the base.

    Parameters
    ----------
    backbone : Predictor
        Model to train, with `attachment` attached to it.
    attachment : Attachment
    options : TrainingOptions
        Resolved options.
    total_steps : int
        Optimiser steps of the whole run.
    replay : Replay, optional
        Structures on which to preserve the predictions of the base.
    layers : mapping of str to LayerRows, optional
        Inputs and outputs of the base's layers, for the activation-matching penalty.
    stage_ended : callable, optional
        Called by the first process when a stage of the method ends before the end of the run.
    """

    def __init__(
        self,
        backbone: Predictor,
        attachment: Attachment,
        options: TrainingOptions,
        total_steps: int,
        replay: Replay | None = None,
        layers: Mapping[str, LayerRows] | None = None,
        stage_ended: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.deltas = nn.ModuleList(attachment.deltas.values())
        self.spins = backbone.layer if isinstance(backbone, SpinModel) else None
        self._backbone, self._attachment = backbone, attachment
        self._grouped = GroupedProducts(self.deltas)
        self._controller, self._stage_ended = attachment.controller(), stage_ended
        self._options, self._total_steps = options, total_steps
        self._loss = Loss.of(options, spins=self.spins is not None, sign_ambiguous=backbone.sign_ambiguous)
        self._anchor = Anchor(attachment, layers, options.anchor, options.seed) if options.anchor and layers else None
        self._replay = replay if options.replay_weight else None
        self._average = Average(self.parameters(), options.ema) if options.ema else None
        self.train_errors = self._no_errors()
        self._limiter, self._validation_limiter = BatchLimiter(), BatchLimiter()
        self._probings = 0
        self._start_validation()

    def configure_optimizers(self) -> Any:
        more = [] if self.spins is None else [_spin_group(self.spins, self._options)]
        optimizer = build_optimizer(self.deltas, self._options, more)  # type: ignore[arg-type]
        schedule = build_schedule(optimizer, self._options, self._controller, self._total_steps)
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[BASE] = self._backbone.identity.sha256
        checkpoint[CONTROLLER] = self._controller.state()
        checkpoint[TRAIN_ERRORS] = self._summed(self.train_errors.sums)
        if self._average is not None:
            checkpoint[AVERAGE] = self._average.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the controller; copy the number of steps from a checkpoint that used automatic optimisation."""
        self._controller.load_state(checkpoint.get(CONTROLLER, {}))
        if TRAIN_ERRORS in checkpoint and not self.global_rank:
            self.train_errors.sums = checkpoint[TRAIN_ERRORS]
        if self._average is not None and AVERAGE in checkpoint:
            self._average.load_state(checkpoint[AVERAGE])
        progress = checkpoint["loops"]["fit_loop"]
        manual, automatic = (f"epoch_loop.{kind}_optimization" for kind in ("manual", "automatic"))
        steps = progress[f"{automatic}.optim_progress"]["optimizer"]["step"]
        if steps["total"]["completed"]:
            progress[f"{manual}.optim_step_progress"] = steps

    def training_step(self, batch: Sequence[Sample], _: int) -> None:
        """Take one optimiser step: gradients of the loss, then of the penalty and the replay loss, then the update."""
        step, optimizer, schedule = self.global_step, self.optimizers(), self.lr_schedulers()
        self._probings = 0
        renewal = self._controller.start_step(step, self._total_steps, self._probes)
        if renewal is Renewal.PARAMETERS:
            self._forget(optimizer)
        if renewal is not Renewal.NOTHING and self._average is not None:
            self._average.restart()
        optimizer.zero_grad()  # type: ignore[union-attr]
        self._set_gradients(self._data_gradients(batch))
        self._controller.before_step(step, self._total_steps)
        if self._anchor is not None:
            with self._grouped.computed():
                self._add_gradients(gradients_of(self._anchor.penalty(step), list(self.deltas.parameters())))
        if self._replay is not None:
            self._add_gradients(self._replay_gradients(self._replay, step))
        self.clip_gradients(optimizer, self._options.gradient_clip, "norm")  # type: ignore[arg-type]
        optimizer.step()  # type: ignore[union-attr]
        self._controller.after_step(step, self._total_steps)
        if self._average is not None:
            self._average.update()
        if self._controller.ends_stage(step + 1, self._total_steps):
            self._end_stage(step + 1)
        if schedule is not None:
            schedule.step()  # type: ignore[union-attr]

    def validation_step(self, batch: Sequence[Sample], _: int, dataloader_idx: int = 0) -> None:
        errors, losses = (self.valid_errors, self.drift_errors)[dataloader_idx], self._losses[dataloader_idx]
        losses += self._batch_losses(batch, errors)

    def on_train_epoch_start(self) -> None:
        self._use_average(False)

    def on_validation_epoch_start(self) -> None:
        self._start_validation()
        self._use_average(True)

    def on_validation_epoch_end(self) -> None:
        for errors in (self.train_errors, self.valid_errors, self.drift_errors):
            errors.sums = self._summed(errors.sums)
        valid_loss, drift_loss = (self._mean(losses) for losses in self._losses)
        criterion = valid_loss + (self._options.drift_weight or 0.0) * drift_loss
        if not self.ready:
            criterion = float("inf")
        self.log(LOSS, valid_loss, sync_dist=False, logger=False)
        self.log(CRITERION, criterion, sync_dist=False, logger=False)

    def on_validation_end(self) -> None:
        self.train_errors = self._no_errors()

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Numbers of changed entries that the method has tried."""
        return self._controller.trials

    @property
    def ready(self) -> bool:
        """True if the present model meets the target of the method."""
        return self._controller.ready(self.global_step, self._total_steps)

    def changed_fraction(self) -> float:
        """Number of weights that differ from the base now, divided by the number of all parameters of the base."""
        return self._attachment.changed_count() / self._attachment.layout.total_parameters

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return unpacked(batch)  # the backbone moves its own batches

    def _data_gradients(self, batch: Sequence[Sample]) -> Gradients:
        """Gradients of the loss of a batch with respect to all parameters; its errors are added to `train_errors`."""
        whole = whole_batch(batch, self.trainer)

        def gradients(samples: Sequence[Sample]) -> Gradients:
            with self._grouped.computed():
                prediction, piece = predict(self._backbone, samples, training=True)
                loss = self.trainer.world_size * self._loss(prediction, piece, whole.beyond(len(samples)))
                piece_gradients = gradients_of(loss, list(self.parameters()))
            self.train_errors.update(prediction, piece.labels, piece.n_atoms)
            return piece_gradients

        return summed(in_pieces(batch, gradients, self._limiter), len(list(self.parameters())))

    def _batch_losses(self, batch: Sequence[Sample], errors: ErrorSums) -> Iterator[tuple[float, int]]:
        """Sum of losses and number of frames of each piece of a batch; its errors are added to `errors`."""
        whole = whole_batch(batch, self.trainer)
        for prediction, piece in in_pieces(batch, partial(predict, self._backbone), self._validation_limiter):
            errors.update(prediction, piece.labels, piece.n_atoms)
            frames = len(piece.n_atoms)
            yield whole.frames * float(self._loss(prediction, piece, whole.beyond(frames))), frames

    def _end_stage(self, step: int) -> None:
        """Let the controller judge the stage that ends before a step, and tell the caller of the training."""
        if self._average is not None:
            self._average.adopt()
        self._controller.end_stage(step, self._total_steps, self._valid_loss)
        if self._stage_ended and not self.global_rank:
            self._stage_ended()

    @torch.no_grad()
    def _valid_loss(self) -> float:
        """Loss on the validation frames, between two training steps."""
        losses: list[tuple[float, int]] = []
        loaders = self.trainer.val_dataloaders
        self.eval()
        for batch in loaders[0]:  # type: ignore[index]
            losses += self._batch_losses(unpacked(batch), self._no_errors())
        self.train()
        return self._mean(losses)

    def _probes(self) -> Iterator[None]:
        """Backward passes of random combinations of predictions of random training frames; see `Controller`.

        The processes share them out. Every call within a step has others.
        """
        options, dataset = self._options, self.trainer.train_dataloader.dataset  # type: ignore[union-attr]
        seed = (options.seed, self.global_step, self._probings)
        self._probings += 1
        size = max(1, options.batch_size * options.processes // 2)
        for index, batch in enumerate(probe_batches(dataset, size, self._total_steps, seed)):
            if index % self.trainer.world_size == self.global_rank:
                self._probe(batch, (*seed, index))
                yield

    def _probe(self, batch: Sequence[Sample], seed: tuple[int, ...]) -> None:
        """Backward pass of a random combination of predictions of a batch, and of what the penalties keep small."""
        generator = torch.Generator().manual_seed(int(np.random.default_rng(seed).integers(2**62)))
        self._probe_predictions(batch, generator, 1.0)
        if self._anchor is not None:
            gradients_of(self._anchor.random_combination(generator), list(self.deltas.parameters()))
        if self._replay is not None:
            structures = self._replay.batch(self._options.replay_batch_size * self._options.processes, seed[-1])
            self._probe_predictions(structures, generator, self._options.replay_weight)

    def _probe_predictions(self, batch: Sequence[Sample], generator: torch.Generator, weight: float) -> None:
        """Backward pass of a random combination of predictions of a batch whose loss has a weight."""
        parameters, whole = list(self.deltas.parameters()), whole_batch(batch)

        def gradients(samples: Sequence[Sample]) -> None:
            prediction, piece = predict(self._backbone, samples, training=True)
            combination = random_combination(prediction, piece, self._loss, generator, whole.beyond(len(samples)))
            gradients_of(weight**0.5 * combination, parameters)

        in_pieces(batch, gradients, self._limiter)

    def _forget(self, optimizer: Any) -> None:
        """Forget what the optimiser knows about the parameters of the deltas, which were set to new values."""
        for parameter in self.deltas.parameters():
            optimizer.state.pop(parameter, None)

    def _replay_gradients(self, replay: Replay, step: int) -> Gradients:
        """Gradients of the weighted loss on the replay structures of a step, with respect to the deltas."""
        batch = replay.batch(self._options.replay_batch_size, step * self.trainer.world_size + self.global_rank)
        whole, weight = whole_batch(batch, self.trainer), self.trainer.world_size * self._options.replay_weight
        parameters = list(self.deltas.parameters())

        def gradients(samples: Sequence[Sample]) -> Gradients:
            with self._grouped.computed():
                prediction, piece = predict(self._backbone, samples, training=True)
                loss = self._loss(prediction, piece, whole.beyond(len(samples)))
                return gradients_of(weight * loss, parameters)

        return summed(in_pieces(batch, gradients, self._limiter), len(parameters))

    def _set_gradients(self, gradients: Gradients) -> None:
        """Set the gradients of all parameters, averaged over all processes."""
        parameters = list(self.parameters())
        for parameter, gradient in zip(parameters, mean_of_processes(gradients, parameters, self.trainer), strict=True):
            parameter.grad = gradient

    def _add_gradients(self, gradients: Gradients) -> None:
        """Add gradients, averaged over all processes, to the gradients of the deltas."""
        parameters = list(self.deltas.parameters())
        add_where_trained(parameters, mean_of_processes(gradients, parameters, self.trainer))

    def _no_errors(self) -> ErrorSums:
        """Error sums of zero."""
        return ErrorSums(sign_ambiguous=self._backbone.sign_ambiguous)

    def _start_validation(self) -> None:
        """Reset the errors and losses of validation."""
        self.valid_errors, self.drift_errors = self._no_errors(), self._no_errors()
        self._losses: tuple[list[tuple[float, int]], ...] = ([], [])

    def _mean(self, losses: list[tuple[float, int]]) -> float:
        """Mean loss over the frames of all processes, from sum and number of frames of each batch; 0 without frames."""
        weighted = [(0.0, 0.0), *((total, float(n)) for total, n in losses)]
        total = self._summed(torch.tensor(weighted, dtype=torch.float64).sum(0))
        return float(total[0] / total[1].clamp_min(1.0))

    def _summed(self, values: Tensor) -> Tensor:
        """Sum over all processes."""
        if self.trainer.world_size == 1:
            return values
        gathered: Tensor = self.all_gather(values.to(self.device)).cpu()  # type: ignore[union-attr]
        return gathered.sum(0)

    def _use_average(self, on: bool) -> None:
        """Switch to averaged weights, if there are any, for validation, or back to those for training."""
        if self._average is not None:
            self._average.show(on)
        optimizer = self.optimizers(use_pl_optimizer=False)
        if isinstance(optimizer, AdamWScheduleFree):
            optimizer.eval() if on else optimizer.train()


def _spin_group(layer: SpinLayer, options: TrainingOptions) -> ParameterGroup:
    """All parameters of a spin layer, with their own learning rate, annealed like that of the method."""
    return ParameterGroup("spins", tuple(layer.parameters()), lr_factor=options.spin_lr / (options.lr or 1.0))
