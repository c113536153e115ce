"""Interface of methods: a rule how a model may change while it is trained, and the format of what it stores.

Most methods change weights: an `AbstractWeightMethod` builds an `AbstractDelta` for every tensor. An
`AbstractGateMethod` leaves the weights alone and changes the outputs of modules, with an `AbstractGate` for each.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import ClassVar

from torch import Generator, Tensor, nn

from equisparse.blocks import Block, Layout
from equisparse.errors import InputError
from equisparse.formats.base import AbstractFormat, AbstractGateFormat, AbstractWeightFormat, Irreps, Options, Stored
from equisparse.methods.matrices import Matrices


@dataclass(frozen=True)
class ParameterGroup:
    """Trainable parameters that share optimiser settings.

    Parameters
    ----------
    name : str
        For messages and logs.
    parameters : tuple of Parameter
        Members.
    lr_factor : float
        Learning rate as a multiple of the run's; ignored if `lr` is given.
    weight_decay : float
        Decoupled weight decay.
    lr : float or None
        A learning rate of its own, which is not annealed.
    matrices : mapping of Parameter to tuple of Matrices
        The matrices that tile a member; members without any may be left out.
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
        """The change as few plain tensors on the CPU, detached: the parts of the method's format."""

    @abstractmethod
    def groups(self) -> list[ParameterGroup]:
        """Trainable parameters with their optimiser settings."""


class AbstractDelta(AbstractChange):
    """The change of one weight tensor, used as a torch parametrization: base weight in, changed weight out."""

    @abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """Changed weight, same shape and dtype as the base `weight`."""


class AbstractGate(AbstractChange):
    """The change of the output of one module, used as a forward hook."""

    @abstractmethod
    def forward(self, features: Tensor, output: Tensor) -> Tensor:
        """Changed output of a module from its input and its output, rows of irreps along the last axis.

        It has to commute with rotations and inversion, whatever the parameters are.
        """


class Controller:
    """Actions of a method on its deltas between training steps; this one does nothing.

    All state lives in the deltas' buffers, so that a checkpoint of the model is a checkpoint of the controller.
    """

    def before_step(self, step: int, total: int) -> None:
        """Called with gradients in place, before the optimiser's step `step` (from 0) of `total`."""

    def after_step(self, step: int, total: int) -> None:
        """Called after the optimiser's step."""

    def lr_factor(self, step: int, total: int) -> float:
        """Factor of the annealed learning rate at a step."""
        return 1.0

    def ready(self, step: int, total: int) -> bool:
        """Return whether the model after `step` steps obeys the method's promise and may be kept as the best."""
        return True


@dataclass(frozen=True)
class AbstractMethod(ABC):
    """A rule how a model may change; its fields are its options, all plain values.

    A method knows layouts and names the format of what it stores. It never knows a backbone, a data set or a trainer.

    Raises
    ------
    InputError
        By the constructor, if an option is out of range.
    """

    name: ClassVar[str]
    """Name in configurations and in the registry."""
    keeps_base: ClassVar[bool] = True
    """Whether the change starts at the base or near to it, so that there is something to stay close to."""

    @property
    @abstractmethod
    def format(self) -> AbstractFormat:
        """How the changes that this method trains are stored."""

    @property
    def learning_rate(self) -> float:
        """Default learning rate of the run, as measured (docs/benchmarks.md)."""
        return 3e-2

    @property
    def default_targets(self) -> tuple[str, ...]:
        """Tensors that are selected if the user names none; see `equisparse.methods.select.select`."""
        return ("all", "!radial")

    def controller(self, deltas: Mapping[str, AbstractChange], layout: Layout) -> Controller:
        """Return the controller of the training; it does nothing by default."""
        return Controller()

    def resolve(self, layout: Layout) -> "AbstractMethod":
        """The same method with every target that depends on the layout turned into numbers; checks them too.

        Raises
        ------
        InputError
            If a target cannot be met on this layout.
        """
        return self

    def fit_into(self, value_bytes: int, layout: Layout) -> "AbstractMethod":
        """The same method, set up so that its stored values over `layout` take at most `value_bytes` bytes.

        Raises
        ------
        InputError
            If the method has no setting that small, or none at all.
        """
        raise InputError(
            f"The method {self.name} cannot be fitted into a size.",
            given=f"--budget with --method {self.name}",
            next_step="leave --method out: the best method per byte is taken",
        )

    def options(self) -> Options:
        """Options as plain values, for headers and configurations."""
        return asdict(self)


class AbstractWeightMethod(AbstractMethod):
    """A method that changes weights."""

    @property
    @abstractmethod
    def format(self) -> AbstractWeightFormat:
        """How the changes that this method trains are stored."""

    @abstractmethod
    def build(self, weight: Tensor, blocks: tuple[Block, ...], generator: Generator) -> AbstractDelta:
        """Trainable change of one tensor at its start.

        Parameters
        ----------
        weight : Tensor
            Base weight, any shape; never modified.
        blocks : tuple of Block
            Tile the flattened weight.
        generator : Generator
            Source of every random number.
        """


class AbstractGateMethod(AbstractMethod):
    """A method that changes outputs and no weights: it cannot be merged, and runs where its gates run."""

    @property
    @abstractmethod
    def format(self) -> AbstractGateFormat:
        """How the gates that this method trains are stored."""

    @abstractmethod
    def build(self, inputs: Irreps, outputs: Irreps, generator: Generator) -> AbstractGate | None:
        """Trainable gate of one module at its start; None where the method has nothing to do.

        Parameters
        ----------
        inputs, outputs : Irreps
            Of the module.
        generator : Generator
            Source of every random number.
        """


def plain_copies(tensors: Mapping[str, Tensor]) -> Stored:
    """Detached copies on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
