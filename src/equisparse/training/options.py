"""Options of training, with the defaults that were measured (docs/benchmarks.md)."""

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal, get_args

from equisparse.options import ADVANCED, CLOSENESS, MAGNETISM, OUTPUT, TRAINING, Option, check_options

Optimizer = Literal["adamw", "muon", "schedulefree"]
"""Names of the optimisers; see `equisparse.training.muon` for ``muon``, the paper for ``schedulefree``."""

OPTIMIZERS: tuple[str, ...] = get_args(Optimizer)


@dataclass(frozen=True)
class TrainingOptions:
    """Options of the training loop; each field carries its own description.

    Losses are Huber losses. Errors of energies count in eV/atom, of forces in eV/Angstrom, of stress in eV/Angstrom^3,
    of moments in muB and of magnetic forces in eV/muB.

    Raises
    ------
    InputError
        If a value has the wrong type or is out of range.
    """

    epochs: Annotated[
        int | None,
        Option(
            "Passes over the training frames", TRAINING, least=1, shown_default="about 1000 steps, 10 to 200 epochs"
        ),
    ] = None
    batch_size: Annotated[int, Option("Training frames per step and process", TRAINING, least=1)] = 10
    lr: Annotated[
        float | None,
        Option("Learning rate", TRAINING, above=0, below=10, shown_default="that of the method"),
    ] = None
    optimizer: Annotated[
        Optimizer,
        Option("Optimiser; adamw and muon anneal the learning rate to zero along a cosine", TRAINING),
    ] = "muon"
    warmup_steps: Annotated[int, Option("Steps over which the learning rate rises from zero", ADVANCED, least=0)] = 20
    gradient_clip: Annotated[float, Option("Largest norm of the gradient; 0 turns clipping off", ADVANCED, least=0)] = (
        100.0
    )
    energy_weight: Annotated[
        float | None,
        Option("Weight of the energy loss", TRAINING, least=0, below=math.inf, shown_default="1, or 10 with --spin"),
    ] = None
    force_weight: Annotated[float, Option("Weight of the force loss", TRAINING, least=0, below=math.inf)] = 10.0
    stress_weight: Annotated[float, Option("Weight of the stress loss", TRAINING, least=0, below=math.inf)] = 100.0
    moment_weight: Annotated[
        float, Option("Weight of the loss of magnetic moments", MAGNETISM, least=0, below=math.inf)
    ] = 10.0
    magnetic_force_weight: Annotated[
        float, Option("Weight of the loss of magnetic forces", MAGNETISM, least=0, below=math.inf)
    ] = 10.0
    huber_delta: Annotated[
        float,
        Option("Error above which the losses grow linearly, in the unit of each label", ADVANCED, above=0),
    ] = 0.01
    spin_lr: Annotated[float, Option("Learning rate of the spin layer", MAGNETISM, above=0, below=10)] = 2e-3
    anchor: Annotated[
        float,
        Option(
            "Weight of the activation-matching penalty on replay structures; 0 turns it off",
            CLOSENESS,
            least=0,
            below=math.inf,
        ),
    ] = 0.1
    replay_weight: Annotated[
        float,
        Option("Weight of the loss against the base model on replay structures", CLOSENESS, least=0, below=math.inf),
    ] = 0.1
    replay_batch_size: Annotated[int, Option("Replay structures per step and process", CLOSENESS, least=1)] = 8
    drift_weight: Annotated[
        float | None,
        Option(
            "Weight of the loss on held-out replay structures when the best epoch is chosen",
            CLOSENESS,
            least=0,
            below=math.inf,
            shown_default="that of --replay-weight",
        ),
    ] = None
    patience: Annotated[
        int,
        Option("Stop after this many epochs without a better validation loss; 0 trains all epochs", TRAINING, least=0),
    ] = 0
    seed: Annotated[
        int, Option("Seed of the split, of the start values and of the order of the frames", TRAINING, least=0)
    ] = 0
    devices: Annotated[int, Option("Processes per node, for torchrun or SLURM", ADVANCED, least=1)] = 1
    num_nodes: Annotated[int, Option("Number of nodes, for torchrun or SLURM", ADVANCED, least=1)] = 1
    logger: Annotated[
        Literal["none", "tensorboard", "wandb"],
        Option("Also log the learning curve here; the CSV file is always written", OUTPUT),
    ] = "none"

    def __post_init__(self) -> None:
        check_options(self)

    def steps_per_epoch(self, n_frames: int) -> int:
        """Optimiser steps in one pass over `n_frames` frames."""
        return math.ceil(math.ceil(n_frames / (self.devices * self.num_nodes)) / self.batch_size)

    def resolved(self, n_frames: int, default_lr: float) -> "TrainingOptions":
        """The same options with every default turned into a number."""
        epochs = self.epochs or min(200, max(10, math.ceil(1000 / self.steps_per_epoch(n_frames))))
        lr = self.lr if self.lr is not None else default_lr
        drift_weight = self.drift_weight if self.drift_weight is not None else self.replay_weight
        return replace(self, epochs=epochs, lr=lr, drift_weight=drift_weight)
