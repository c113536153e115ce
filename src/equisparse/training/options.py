"""Options of training, with the defaults that were measured (docs/benchmarks.md)."""

import math
from dataclasses import dataclass, replace

from equisparse.errors import InputError

OPTIMIZERS = ("adamw", "muon", "schedulefree")


@dataclass(frozen=True)
class TrainingOptions:
    """How a fine-tune runs.

    Parameters
    ----------
    epochs : int or None
        Passes over the training frames; by default as many as give about 1000 steps, at least 10, at most 200.
    batch_size : int
        Frames per step (per process).
    lr : float or None
        Learning rate; by default that of the method.
    optimizer : str
        ``adamw`` or ``muon`` (see `equisparse.training.muon`), both cosine annealed to zero, or ``schedulefree`` (as in
        the paper).
    warmup_steps : int
        Steps over which the learning rate rises from zero.
    gradient_clip : float
        Largest norm of the gradient.
    energy_weight : float or None
        Weight of the Huber loss of energies (eV/atom); by default 1, or that of forces where a spin layer is trained,
        as in the paper: magnetic orders differ in energy before all else.
    force_weight, stress_weight : float
        Weights of the Huber losses of forces (eV/Angstrom) and stress (eV/Angstrom^3).
    moment_weight, magnetic_force_weight : float
        Weights of the Huber losses of moments (muB) and magnetic forces (eV/muB), for models with spins.
    huber_delta : float
        Error, in the same units, above which the losses grow linearly.
    spin_lr : float
        Learning rate of a spin layer, annealed like that of the method.
    anchor : float
        Weight of the penalty on what the layers give elsewhere (`equisparse.training.anchor`): their mean squared
        relative change on structures to stay with the base on. 0 leaves it out.
    replay_weight : float
        Weight of the loss against the base's own predictions on replay structures, where there are any.
    replay_batch_size : int
        Replay structures per step (per process).
    drift_weight : float or None
        Weight of that loss on held-out replay structures beside the validation loss in the choice of the best epoch;
        by default `replay_weight`.
    patience : int
        Epochs without a better validation loss (with the drift, where it counts) after which training ends; 0 never
        ends early.
    seed : int
        Of the split, the deltas' start and the order of the frames.
    devices, num_nodes : int
        Processes per node, and nodes, for torchrun or SLURM.
    logger : str
        ``none``, ``tensorboard`` or ``wandb``; the learning curve is written as CSV in any case.
    """

    epochs: int | None = None
    batch_size: int = 10
    lr: float | None = None
    optimizer: str = "muon"
    warmup_steps: int = 20
    gradient_clip: float = 100.0
    energy_weight: float | None = None
    force_weight: float = 10.0
    stress_weight: float = 100.0
    moment_weight: float = 10.0
    magnetic_force_weight: float = 10.0
    huber_delta: float = 0.01
    spin_lr: float = 2e-3
    anchor: float = 0.1
    replay_weight: float = 0.1
    replay_batch_size: int = 8
    drift_weight: float | None = None
    patience: int = 0
    seed: int = 0
    devices: int = 1
    num_nodes: int = 1
    logger: str = "none"

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise InputError("There is no such optimiser.", given=self.optimizer, expected=" or ".join(OPTIMIZERS))
        for name in ("batch_size", "replay_batch_size", "devices", "num_nodes"):
            if getattr(self, name) < 1:
                raise InputError(f"The option {name} has to be positive.", given=str(getattr(self, name)))
        for name in ("anchor", "replay_weight", "drift_weight", "moment_weight", "magnetic_force_weight"):
            if not 0 <= (getattr(self, name) or 0) < math.inf:
                raise InputError(f"The option {name} is out of range.", given=str(getattr(self, name)), expected=">= 0")
        if self.epochs is not None and self.epochs < 1:
            raise InputError("At least one epoch is needed.", given=str(self.epochs))
        for lr in (self.lr, self.spin_lr):
            if lr is not None and not 0 < lr < 10:
                raise InputError("This learning rate is out of range.", given=str(lr), expected="0 < lr < 10")

    def steps_per_epoch(self, n_frames: int) -> int:
        """Optimiser steps in one pass over `n_frames` frames."""
        return math.ceil(math.ceil(n_frames / (self.devices * self.num_nodes)) / self.batch_size)

    def resolved(self, n_frames: int, default_lr: float) -> "TrainingOptions":
        """The same options with every default turned into a number."""
        epochs = self.epochs or min(200, max(10, math.ceil(1000 / self.steps_per_epoch(n_frames))))
        lr = self.lr if self.lr is not None else default_lr
        drift_weight = self.drift_weight if self.drift_weight is not None else self.replay_weight
        return replace(self, epochs=epochs, lr=lr, drift_weight=drift_weight)
