"""What a method is: a rule how a model may change, and the few values that store the change.

Most methods change weights: an `AbstractWeightMethod` builds an `AbstractDelta` for every tensor. An
`AbstractGateMethod` leaves the weights alone and changes what modules give, with an `AbstractGate` for every module.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Generator, Tensor, nn

from equisparse.blocks import Block, Layout
from equisparse.errors import InputError
from equisparse.methods.matrices import Matrices

Stored = dict[str, Tensor]
"""Named tensors that describe the change at one weight tensor; what an adapter file holds."""


def holds_values(part: Tensor) -> bool:
    """Whether a stored part is counted as values: numbers of full, half or one byte's precision; not indices, ranks."""
    return part.is_floating_point() or part.dtype == torch.int8


class Channels(NamedTuple):
    """Neighbouring channels of one irrep in a row of features: ``multiplicity * (2 l + 1)`` columns."""

    multiplicity: int
    l: int  # noqa: E741  the name that Block uses
    parity: int

    @property
    def invariant(self) -> bool:
        """Whether rotations and inversion leave them as they are."""
        return self.l == 0 and self.parity == 1

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.multiplicity * (2 * self.l + 1)


Irreps = tuple[Channels, ...]
"""All channels of a row of features, from left to right."""


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
    """What a method trains at one weight tensor: a delta of the tensor, or a gate of the module that owns it."""

    @abstractmethod
    def stored(self) -> Stored:
        """The change as few plain tensors, detached, from which its method makes the same change again."""

    @abstractmethod
    def groups(self) -> list[ParameterGroup]:
        """Trainable parameters with their optimiser settings."""


class AbstractDelta(AbstractChange):
    """The change of one weight tensor, used as a torch parametrization: base weight in, changed weight out."""

    @abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """Changed weight, same shape and dtype as the base `weight`."""


class AbstractGate(AbstractChange):
    """The change of the output of one module, used as a forward hook; all its parameters are stored."""

    @abstractmethod
    def forward(self, features: Tensor, output: Tensor) -> Tensor:
        """Changed output of a module from its input and its output, rows of irreps along the last axis.

        It has to commute with rotations and inversion, whatever the parameters are.
        """

    def stored(self) -> Stored:
        return {name: parameter.detach().cpu().clone() for name, parameter in self.named_parameters()}


class Controller:
    """What a method does to its deltas between training steps; this one does nothing.

    All state lives in the deltas' buffers, so that a checkpoint of the model is a checkpoint of the controller.
    """

    def before_step(self, step: int, total: int) -> None:
        """Called with gradients in place, before the optimiser's step number `step` (from 0) of `total`."""

    def after_step(self, step: int, total: int) -> None:
        """Called after the optimiser's step."""

    def lr_factor(self, step: int, total: int) -> float:
        """What multiplies the annealed learning rate at a step."""
        return 1.0

    def ready(self, step: int, total: int) -> bool:
        """Whether the model after `step` steps already obeys the method's promise and may be kept as the best."""
        return True


@dataclass(frozen=True)
class AbstractMethod(ABC):
    """A rule how a model may change; its fields are its options, all plain values.

    A method knows layouts. It never knows a backbone, a data set or a trainer.
    """

    name: ClassVar[str]
    mergeable: ClassVar[bool]
    """Whether the changed model is the base with other weights, so that an upstream's checkpoint can hold it."""
    parts: ClassVar[tuple[str, ...]]
    """Names of what `AbstractChange.stored` gives."""
    keeps_base: ClassVar[bool] = True
    """Whether the change starts at the base or near to it, so that there is something to stay close to."""

    @property
    def learning_rate(self) -> float:
        """Default learning rate of the run, as measured (docs/benchmarks.md)."""
        return 3e-2

    @property
    def default_targets(self) -> tuple[str, ...]:
        """Tensors that are selected if the user names none; see `equisparse.methods.select.select`."""
        return ("all", "!radial")

    def check_stored(self, stored: Mapping[str, Tensor], shape: tuple[int, ...], blocks: tuple[Block, ...]) -> None:
        """Raise ValueError unless the parts stored for a weight of `shape` can be this method's."""
        if set(stored) != set(self.parts):
            raise ValueError(f"stored are {', '.join(stored)}, not {', '.join(self.parts)}")
        for part, values in stored.items():
            if values.is_floating_point() and not bool(values.isfinite().all()):
                raise ValueError(f"{part} has values that are not finite")

    def controller(self, deltas: Mapping[str, AbstractChange], layout: Layout) -> Controller:
        """What happens between steps; nothing by default."""
        return Controller()

    def resolve(self, layout: Layout) -> "AbstractMethod":
        """The same method with every target that depends on the layout turned into numbers; checks them too."""
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

    def options(self) -> dict[str, Any]:
        """Options as plain values, for headers and configurations."""
        return asdict(self)


class AbstractWeightMethod(AbstractMethod):
    """A method that changes weights."""

    mergeable: ClassVar[bool] = True
    additive: ClassVar[bool] = True
    """Whether what is added to a weight does not depend on the weight."""

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

    @abstractmethod
    def apply(self, weight: Tensor, stored: Mapping[str, Tensor], blocks: tuple[Block, ...]) -> Tensor:
        """Changed weight from the base weight and the stored tensors; a new tensor of the same shape and dtype."""

    @abstractmethod
    def part_shapes(self, shape: tuple[int, ...], blocks: tuple[Block, ...]) -> Mapping[str, tuple[int, ...]]:
        """Shapes of the stored parts of a weight of `shape`; without the parts whose size is free."""

    def check_stored(self, stored: Mapping[str, Tensor], shape: tuple[int, ...], blocks: tuple[Block, ...]) -> None:
        super().check_stored(stored, shape, blocks)
        for part, expected in self.part_shapes(shape, blocks).items():
            if tuple(stored[part].shape) != expected or not stored[part].is_floating_point():
                raise ValueError(f"{part} has the shape {tuple(stored[part].shape)}, not {expected}")


class AbstractGateMethod(AbstractMethod):
    """A method that changes outputs and no weights: it cannot be merged, and runs where its gates run."""

    mergeable: ClassVar[bool] = False

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
