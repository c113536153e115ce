"""Options of training; the defaults were chosen by benchmarks (docs/benchmarks.md)."""

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal, get_args

from equisparse.errors import InputError
from equisparse.options import ADVANCED, CLOSENESS, MAGNETISM, OUTPUT, TRAINING, Option, check_options, flag
from equisparse.quantities import (
    ENERGY,
    FORCES,
    MAGNETIC_FORCES,
    MOMENTS,
    STRESS,
    Quantity,
    all_quantities,
    find_quantity,
)
from equisparse.wording import counted

_WEIGHT_OPTIONS = {
    quantity.name: f"{quantity.singular}_weight" for quantity in (ENERGY, FORCES, STRESS, MOMENTS, MAGNETIC_FORCES)
}
"""Name of a built-in quantity -> option that sets its loss weight."""

MOST_SEED = 2**32 - 1
"""Largest seed that all generators of random numbers take."""

Optimizer = Literal["adamw", "muon", "schedulefree"]
"""Names of the optimisers; for ``muon`` see `equisparse.training.muon`, for ``schedulefree`` arXiv 2405.15682."""

OPTIMIZERS: tuple[str, ...] = get_args(Optimizer)


@dataclass(frozen=True)
class Rounds:
    """Parts of a run that end with a validation.

    Parameters
    ----------
    count : int
    steps : int
        Optimiser steps of each.
    """

    count: int
    steps: int

    @property
    def total(self) -> int:
        """Optimiser steps of the run."""
        return self.count * self.steps


@dataclass(frozen=True, kw_only=True)
class ProcessOptions:
    """Number of processes; each field carries its own description."""

    devices: Annotated[int, Option("Processes per node, for torchrun or SLURM", ADVANCED, least=1)] = 1
    num_nodes: Annotated[int, Option("Number of nodes, for torchrun or SLURM", ADVANCED, least=1)] = 1

    @property
    def processes(self) -> int:
        """Number of processes of all nodes."""
        return self.devices * self.num_nodes


@dataclass(frozen=True)
class TrainingOptions(ProcessOptions):
    """Options of the training loop; each field carries its own description.

    Losses are Huber losses of errors in eV/atom (energy), eV/Angstrom (forces), eV/Angstrom^3 (stress), muB (moments)
    and eV/muB (magnetic forces).

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
    max_steps: Annotated[
        int | None,
        Option(
            "Optimiser steps of the run in place of --epochs, rounded up to equal parts between the validations",
            TRAINING,
            least=1,
        ),
    ] = None
    validate_every: Annotated[
        int | None,
        Option(
            "Optimiser steps between two validations, each of which is a line of the learning curve and a checkpoint",
            TRAINING,
            least=1,
            shown_default="one epoch",
        ),
    ] = None
    checkpoint_minutes: Annotated[
        float,
        Option(
            "Minutes after which a checkpoint is written between two validations; 0 turns it off", ADVANCED, least=0
        ),
    ] = 30.0
    batch_size: Annotated[int, Option("Training frames per optimiser step and process", TRAINING, least=1)] = 10
    max_atoms: Annotated[
        int | None,
        Option("Most atoms per step and process, beside --batch-size", ADVANCED, least=1),
    ] = None
    max_edges: Annotated[
        int | None,
        Option("Most neighbour pairs per step and process, beside --batch-size", ADVANCED, least=1),
    ] = None
    precision: Annotated[
        Literal["full", "tf32"],
        Option(
            "Matrix products of the training on a GPU: full, or tf32, which is faster and coarser; the end states the "
            "difference",
            ADVANCED,
        ),
    ] = "full"
    workers: Annotated[
        int, Option("Processes that build the graphs of frames beside the training process", ADVANCED, least=0)
    ] = 0
    cache: Annotated[
        float,
        Option("Memory for graphs, GB; graphs beyond it are built in every epoch", ADVANCED, least=0),
    ] = 4.0
    lr: Annotated[
        float | None,
        Option("Learning rate", TRAINING, above=0, below=10, shown_default="depends on the method"),
    ] = None
    optimizer: Annotated[
        Optimizer,
        Option("Optimiser; adamw and muon anneal the learning rate to zero along a cosine", TRAINING),
    ] = "muon"
    ema: Annotated[
        float,
        Option(
            "Keep a moving average of the trained weights with this decay per step, such as 0.999; 0: the last ones",
            TRAINING,
            least=0,
            below=1,
        ),
    ] = 0.0
    warmup_steps: Annotated[int, Option("Steps over which the learning rate rises from zero", ADVANCED, least=0)] = 20
    gradient_clip: Annotated[float, Option("Largest norm of the gradient; 0 turns clipping off", ADVANCED, least=0)] = (
        100.0
    )
    energy_weight: Annotated[
        float | None,
        Option("Weight of the energy loss", TRAINING, least=0, below=math.inf, shown_default="1, or 10 with --spin"),
    ] = None
    force_weight: Annotated[float, Option("Weight of the force loss", TRAINING, least=0, below=math.inf)] = (
        FORCES.loss_weight
    )
    stress_weight: Annotated[float, Option("Weight of the stress loss", TRAINING, least=0, below=math.inf)] = (
        STRESS.loss_weight
    )
    moment_weight: Annotated[
        float, Option("Weight of the loss of magnetic moments", MAGNETISM, least=0, below=math.inf)
    ] = MOMENTS.loss_weight
    magnetic_force_weight: Annotated[
        float, Option("Weight of the loss of magnetic forces", MAGNETISM, least=0, below=math.inf)
    ] = MAGNETIC_FORCES.loss_weight
    loss_weights: Annotated[
        dict[str, float] | None,
        Option(
            "Loss weight of a registered quantity, by its name",
            ADVANCED,
            ".NAME X",
            shown_default="depends on the quantity",
        ),
    ] = None
    huber_delta: Annotated[
        float,
        Option("Error above which the losses grow linearly, in the unit of each label", ADVANCED, above=0),
    ] = 0.01
    spin_lr: Annotated[float, Option("Learning rate of the spin layer", MAGNETISM, above=0, below=10)] = 2e-3
    anchor: Annotated[
        float,
        Option(
            "Weight of the penalty that keeps layer outputs on replay structures close to the base's; 0 turns it off",
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
            shown_default="value of --replay-weight",
        ),
    ] = None
    patience: Annotated[
        int,
        Option("Stop after this many epochs without a better validation loss; 0 trains all epochs", TRAINING, least=0),
    ] = 0
    seed: Annotated[
        int,
        Option(
            "Random seed of the split, the initial values and the order of the frames",
            TRAINING,
            least=0,
            most=MOST_SEED,
        ),
    ] = 0
    logger: Annotated[
        Literal["none", "tensorboard", "wandb", "mlflow"],
        Option("Logger of the options and the learning curve, in addition to the CSV file", OUTPUT),
    ] = "none"

    def __post_init__(self) -> None:
        check_options(self)
        if self.epochs is not None and self.max_steps is not None:
            raise InputError(
                "--epochs and --max-steps are mutually exclusive.",
                given=f"--epochs {self.epochs} --max-steps {self.max_steps}",
                next_step="omit one of them; in a configuration file, set it to null",
            )
        if self.ema and self.optimizer == "schedulefree":
            raise InputError(
                "--ema has no use with the optimiser schedulefree, which averages the weights by itself.",
                given=f"--ema {self.ema:g} --optimizer schedulefree",
                next_step="omit --ema, or choose another optimiser",
            )
        for name, weight in (self.loss_weights or {}).items():
            if find_quantity(name).name in _WEIGHT_OPTIONS or not 0 <= weight < math.inf:
                raise InputError(
                    f"Invalid loss weight of {name}.",
                    given=str(weight),
                    expected=f"the option {_WEIGHT_OPTIONS[name]}" if name in _WEIGHT_OPTIONS else "a number >= 0",
                )

    def loss_weight(self, quantity: Quantity, *, spins: bool = False) -> float:
        """Weight of the Huber loss of a quantity; `spins` says whether a spin layer is trained."""
        if quantity == ENERGY and self.energy_weight is None:
            return self.force_weight if spins else ENERGY.loss_weight
        if quantity.name in _WEIGHT_OPTIONS:
            return float(getattr(self, _WEIGHT_OPTIONS[quantity.name]))
        return (self.loss_weights or {}).get(quantity.name, quantity.loss_weight)

    @property
    def round_name(self) -> str:
        """Word for what ends with a validation: an epoch, or a round of steps."""
        return "epoch" if self.max_steps is None and self.validate_every is None else "round"

    def check_weights(self, *, spins: bool) -> None:
        """Check that something is learned: at least one loss weight that applies is above 0.

        Raises
        ------
        InputError
            If all of them are 0.
        """
        applied = [quantity for quantity in all_quantities() if spins or not quantity.needs_spins]
        if not any(self.loss_weight(quantity, spins=spins) for quantity in applied):
            names = ", ".join(flag(_WEIGHT_OPTIONS.get(q.name, f"loss_weights.{q.name}")) for q in applied)
            raise InputError(
                "All weights of the loss are 0, so nothing would be learned.",
                given=f"0 for {names}",
                expected="at least one weight above 0",
                next_step="leave the weights out to use their defaults",
            )

    def steps_per_epoch(self, n_frames: int) -> int:
        """Optimiser steps in one pass over `n_frames` frames."""
        return math.ceil(math.ceil(n_frames / self.processes) / self.batch_size)

    def rounds(self, steps_per_epoch: int) -> "Rounds":
        """Divide a run into rounds of equally many steps, each with a validation at its end.

        Parameters
        ----------
        steps_per_epoch : int

        Examples
        --------
        >>> TrainingOptions(epochs=20).rounds(50)
        Rounds(count=20, steps=50)
        >>> TrainingOptions(max_steps=120).rounds(50)
        Rounds(count=3, steps=40)
        """
        total = self.max_steps or steps_per_epoch * (self.epochs or 0)
        count = math.ceil(total / min(self.validate_every or steps_per_epoch, total))
        if self.max_steps is not None:
            return Rounds(count, math.ceil(total / count))
        return Rounds(count, self.validate_every or steps_per_epoch)  # more epochs leave the rounds as they are

    def _check_validations(self, total: int) -> None:
        """Raise InputError if a run would end before its first validation."""
        if self.validate_every is not None and self.validate_every > total:
            raise InputError(
                "The run is shorter than the distance of two validations.",
                given=f"--validate-every {self.validate_every}, and {counted(total, 'step')}",
                expected=f"at most {total}",
                next_step="validate more often, or train for longer with --epochs or --max-steps",
            )

    def resolved(self, n_frames: int, default_lr: float) -> "TrainingOptions":
        """Copy of the options in which every default of None is replaced by a number.

        Parameters
        ----------
        n_frames : int
            Number of training frames.
        default_lr : float
            Learning rate of the method, used if `lr` is None.

        Raises
        ------
        InputError
            If the run is shorter than the distance of two validations.
        """
        epochs = self.epochs
        if epochs is None and self.max_steps is None:
            epochs = min(200, max(10, math.ceil(1000 / self.steps_per_epoch(n_frames))))
        self._check_validations(self.max_steps or (epochs or 0) * self.steps_per_epoch(n_frames))
        lr = self.lr if self.lr is not None else default_lr
        drift_weight = self.drift_weight if self.drift_weight is not None else self.replay_weight
        return replace(self, epochs=epochs, lr=lr, drift_weight=drift_weight)
