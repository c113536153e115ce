"""Interface of methods: how a change of a model is trained, and the format in which it is stored.

Most methods change weights: an `AbstractWeightMethod` builds an `AbstractDelta` for every tensor. An
`AbstractGateMethod` does not change weights but the outputs of modules, with an `AbstractGate` for each.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum, auto
from typing import ClassVar

from torch import Generator, Tensor, nn

from equisparse.blocks import Block, Layout
from equisparse.errors import InputError, StateError
from equisparse.formats.base import AbstractFormat, AbstractGateFormat, AbstractWeightFormat, Irreps, Options, Stored
from equisparse.methods.annealing import annealed
from equisparse.methods.matrices import Matrices


@dataclass(frozen=True)
class ParameterGroup:
    """Trainable parameters that share optimiser settings.

    Parameters
    ----------
    name : str
        Name in messages and logs.
    parameters : tuple of Parameter
        Parameters of the group.
    lr_factor : float
        Learning rate as a multiple of that of the run; ignored if `lr` is given.
    weight_decay : float
        Decoupled weight decay.
    lr : float or None
        Learning rate of this group, which is not annealed.
    matrices : mapping of Parameter to tuple of Matrices
        Positions of the matrices that tile a parameter; parameters without matrices may be absent.
    """

    name: str
    parameters: tuple[nn.Parameter, ...]
    lr_factor: float = 1.0
    weight_decay: float = 1e-8
    lr: float | None = None
    matrices: Mapping[nn.Parameter, tuple[Matrices, ...]] = field(default_factory=dict, hash=False)


class AbstractChange(nn.Module, ABC):
    """Trainable change of one weight tensor: a delta of the tensor, or a gate of the module that owns it."""

    @abstractmethod
    def stored(self) -> Stored:
        """The change as plain tensors on the CPU, detached: the parts of the method's format."""

    @abstractmethod
    def groups(self) -> list[ParameterGroup]:
        """Trainable parameters with their optimiser settings."""

    def moved_by_controller(self) -> list[nn.Parameter]:
        """Other trainable parameters: those that the controller of the method moves."""
        return []


class AbstractDelta(AbstractChange):
    """Change of one weight tensor, used as a torch parametrization: maps the base weight to the changed weight."""

    @abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """Changed weight, of the same shape and dtype as the base `weight`."""

    def begin_at(self, change: Tensor) -> None:
        """Let training start from a change of the shape of the weight.

        Raises
        ------
        StateError
            If the method cannot start from a change.
        """
        raise StateError(
            "This method cannot start from a change.",
            given=type(self).__name__,
            expected="a method that can store any change, such as sparse",
        )


class AbstractGate(AbstractChange):
    """Change of the output of one module, used as a forward hook."""

    @abstractmethod
    def forward(self, features: Tensor, output: Tensor) -> Tensor:
        """Changed output of a module from its input and its output, rows of irreps along the last axis.

        It has to commute with rotations and inversion for all values of the parameters.
        """


Probes = Callable[[], Iterator[None]]
"""Argument of `Controller.start_step`."""


@dataclass(frozen=True)
class Trial:
    """A number of changed entries that a method has tried.

    Parameters
    ----------
    entries : int
    valid_loss : float
        Validation loss at the end of the trial.
    accepted : bool
        Whether the loss was low enough to go on to fewer entries.
    """

    entries: int
    valid_loss: float
    accepted: bool


class Renewal(Enum):
    """Part of the training state that was set to new values before a step."""

    NOTHING = auto()
    CHANGE = auto()
    """The change, so that an average over earlier steps is void."""
    PARAMETERS = auto()
    """The change and the trained parameters, so that the state of the optimiser is void, too."""


class Controller:
    """Actions of a method between training steps; this base class does nothing.

    State is either in the buffers of the deltas, which are part of a checkpoint of the model, or in `state`.
    """

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Numbers of changed entries that were tried so far, in order; empty if the number is given."""
        return ()

    def start_step(self, step: int, total: int, probes: Probes) -> Renewal:
        """Called before the gradients of step `step` (from 0) of `total` are computed.

        Parameters
        ----------
        step, total : int
        probes : callable
            Returns an iterator; each of its items, which are all None, has run a backward pass of a random combination
            of the model's predictions. The mean outer product of the gradients that hooks see in these passes is the
            Gauss-Newton matrix of the loss. Another call has other combinations.

        Returns
        -------
        Renewal
            Part of the training state that was set to new values.
        """
        return Renewal.NOTHING

    def before_step(self, step: int, total: int) -> None:
        """Called after the gradients are computed and before the optimiser takes step `step` (from 0) of `total`."""

    def after_step(self, step: int, total: int) -> None:
        """Called after the optimiser has taken step `step` of `total`."""

    def lr_factor(self, step: int, total: int, warmup: int) -> float:
        """Factor of the learning rate at a step; `warmup` is the number of steps over which it rises from zero."""
        return annealed(step, total, warmup)

    def ends_stage(self, step: int, total: int) -> bool:
        """Return whether a stage before the last one ends after `step` steps; its model is finished, too."""
        return False

    def end_stage(self, step: int, total: int, valid_loss: Callable[[], float]) -> None:
        """Called after the step that ends a stage; `valid_loss` measures the validation loss of the present model."""

    def state(self) -> dict[str, object]:
        """State that is no buffer of a delta, for checkpoints: tensors and plain values."""
        return {}

    def load_state(self, state: Mapping[str, object]) -> None:
        """Restore a state that `state` has returned."""

    def ready(self, step: int, total: int) -> bool:
        """Return whether the model after `step` steps meets the target of the method and may be kept as the best."""
        return True


@dataclass(frozen=True)
class AbstractMethod(ABC):
    """How a change of a model is trained; the fields are the options, all plain values.

    A method uses layouts and a format. It does not depend on backbones, data sets or the trainer.

    Raises
    ------
    InputError
        If an option is out of range.
    """

    name: ClassVar[str]
    """Name in configurations and in the registry."""
    keeps_base: ClassVar[bool] = True
    """Whether the change starts at or close to the base, so that training can preserve its predictions."""

    @property
    @abstractmethod
    def format(self) -> AbstractFormat:
        """Format in which the trained changes are stored."""

    @property
    def learning_rate(self) -> float:
        """Default learning rate; chosen by benchmarks (docs/benchmarks.md)."""
        return 3e-2

    @property
    def default_targets(self) -> tuple[str, ...]:
        """Targets that are selected by default; see `equisparse.methods.select.select`."""
        return ("all", "!radial")

    def suited_to(self, *, one_molecule: bool) -> "AbstractMethod":
        """Return the method with defaults for a kind of data: frames of one molecule, or any others."""
        return self

    def controller(self, deltas: Mapping[str, AbstractChange], layout: Layout) -> Controller:
        """Create the controller of training; by default it does nothing."""
        return Controller()

    def resolve(self, layout: Layout) -> "AbstractMethod":
        """Check the targets against a layout, and return the method with targets that depend on it as numbers.

        Raises
        ------
        InputError
            If a target cannot be met on this layout.
        """
        return self

    def fit_into(self, value_bytes: int, layout: Layout) -> "AbstractMethod":
        """Return the method with options such that its stored values over `layout` take at most `value_bytes` bytes.

        Raises
        ------
        InputError
            If the method cannot be made that small, or has no option for its size.
        """
        raise InputError(
            f"The method {self.name} has no option for its size.",
            given=f"--budget with --method {self.name}",
            next_step="omit --method: the best method for this size is chosen",
        )

    def options(self) -> Options:
        """Options as plain values, for headers and configurations."""
        return asdict(self)


class AbstractWeightMethod(AbstractMethod):
    """A method that changes weights."""

    @property
    @abstractmethod
    def format(self) -> AbstractWeightFormat:
        """Format in which the trained changes are stored."""

    @abstractmethod
    def build(self, weight: Tensor, blocks: tuple[Block, ...], generator: Generator) -> AbstractDelta:
        """Create the trainable change of one tensor.

        Parameters
        ----------
        weight : Tensor
            Base weight, any shape; not modified.
        blocks : tuple of Block
            Blocks that tile the flattened weight.
        generator : Generator
            Generator of all random numbers.
        """


class AbstractGateMethod(AbstractMethod):
    """A method that changes outputs instead of weights; its adapters cannot be merged into a checkpoint."""

    @property
    @abstractmethod
    def format(self) -> AbstractGateFormat:
        """Format in which the trained gates are stored."""

    @abstractmethod
    def build(self, inputs: Irreps, outputs: Irreps, generator: Generator) -> AbstractGate | None:
        """Create the trainable gate of one module; None if the method does not apply to the module.

        Parameters
        ----------
        inputs, outputs : Irreps
            Irreps of input and output of the module.
        generator : Generator
            Generator of all random numbers.
        """


def plain_copies(tensors: Mapping[str, Tensor]) -> Stored:
    """Copy tensors to the CPU, detached."""
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
