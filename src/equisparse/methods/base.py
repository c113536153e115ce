"""What a method is: a rule how the weights of a layout may change, and the few values that store the change."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from torch import Generator, Tensor, nn

from equisparse.blocks import Block, Layout
from equisparse.errors import InputError

Stored = dict[str, Tensor]
"""Named tensors that describe the change of one weight tensor; what an adapter file holds."""


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
    """

    name: str
    parameters: tuple[nn.Parameter, ...]
    lr_factor: float = 1.0
    weight_decay: float = 1e-8
    lr: float | None = None


class AbstractDelta(nn.Module, ABC):
    """The change of one weight tensor, used as a torch parametrization: base weight in, changed weight out."""

    @abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """Changed weight, same shape and dtype as the base `weight`."""

    @abstractmethod
    def stored(self) -> Stored:
        """The change as few plain tensors, detached, from which `AbstractMethod.apply` gives the same weight."""

    @abstractmethod
    def groups(self) -> list[ParameterGroup]:
        """Trainable parameters with their optimiser settings."""


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
    """A rule how weights may change; its fields are its options, all plain values.

    A method knows layouts. It never knows a backbone, a data set or a trainer.
    """

    name: ClassVar[str]
    mergeable: ClassVar[bool] = True
    parts: ClassVar[tuple[str, ...]]
    """Names of what `AbstractDelta.stored` gives."""

    @property
    def learning_rate(self) -> float:
        """Default learning rate of the run, as measured (docs/benchmarks.md)."""
        return 1e-2

    @property
    def default_targets(self) -> tuple[str, ...]:
        """Tensors that are selected if the user names none; see `equisparse.methods.select.select`."""
        return ("all", "!radial")

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
        """Raise ValueError unless `apply` can take what is stored for a weight of `shape`."""
        if set(stored) != set(self.parts):
            raise ValueError(f"stored are {', '.join(stored)}, not {', '.join(self.parts)}")
        for part, values in stored.items():
            if values.is_floating_point() and not bool(values.isfinite().all()):
                raise ValueError(f"{part} has values that are not finite")
        for part, expected in self.part_shapes(shape, blocks).items():
            if tuple(stored[part].shape) != expected or not stored[part].is_floating_point():
                raise ValueError(f"{part} has the shape {tuple(stored[part].shape)}, not {expected}")

    def controller(self, deltas: Mapping[str, AbstractDelta], layout: Layout) -> Controller:
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
