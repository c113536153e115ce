"""Interface of formats: how the change of one tensor, or of the output of one module, is stored and applied.

A format does not depend on the method that trained the change. An adapter file names its format, so reading it needs no
method.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from equisparse.blocks import Block, Layout

Stored = dict[str, Tensor]
"""Part name -> tensor: the stored change of one weight tensor, or of one module."""

Options = dict[str, object]
"""Option name -> plain value."""

_DIRECTORY_ENTRY = len('"/":{"dtype":"I32","shape":[123456],"data_offsets":[1234567,1234567]},')
"""Bytes that a safetensors file spends on one tensor, without its name and values."""


def holds_values(part: Tensor) -> bool:
    """Return whether a part is counted as values: floating-point or one-byte numbers, not indices and ranks."""
    return part.is_floating_point() or part.dtype == torch.int8


def stored_bytes(stored: Mapping[str, Tensor]) -> int:
    """Total size of all parts in bytes."""
    return sum(part.numel() * part.element_size() for part in stored.values())


def by_tensor(tensors: Mapping[str, Tensor]) -> dict[str, Stored]:
    """Parts by the name of their tensor, from tensors ``<parameter>/<part>``."""
    stored: dict[str, Stored] = {}
    for key, tensor in tensors.items():
        name, _, part = key.rpartition("/")
        stored.setdefault(name, {})[part] = tensor
    return stored


class Channels(NamedTuple):
    """Neighbouring channels of one irrep in a row of features: ``multiplicity * (2 l + 1)`` columns."""

    multiplicity: int
    l: int  # noqa: E741  the name that Block uses
    parity: int

    @property
    def invariant(self) -> bool:
        """True if the channels are invariant under rotations and inversion."""
        return self.l == 0 and self.parity == 1

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.multiplicity * (2 * self.l + 1)


Irreps = tuple[Channels, ...]
"""All channels of a row of features, from left to right."""


@dataclass(frozen=True)
class AbstractFormat(ABC):
    """How a change is stored; the fields are the options, plain values in the header of a file.

    Raises
    ------
    ValueError
        If an option is out of range.
    """

    name: ClassVar[str]
    """Name in adapter files."""
    parts: ClassVar[tuple[str, ...]]
    """Names of the stored tensors, in the order in which they are written to a file."""
    mergeable: ClassVar[bool]
    """Whether the changed model is the base with other weights, so that it fits into an upstream checkpoint."""

    def options(self) -> Options:
        """Options as plain values, for the header of a file."""
        return asdict(self)

    def check_parts(self, stored: Mapping[str, Tensor]) -> None:
        """Raise ValueError unless the parts have this format's names and finite values."""
        if set(stored) != set(self.parts):
            raise ValueError(f"the stored parts are {', '.join(stored)}, not {', '.join(self.parts)}")
        for part, values in stored.items():
            if values.is_floating_point() and not bool(values.isfinite().all()):
                raise ValueError(f"{part} has values that are not finite")

    def encode(self, stored: Mapping[str, Mapping[str, Tensor]], layout: Layout) -> tuple[object, dict[str, Tensor]]:
        """Return a plain table for the header of a file, and tensors by their names in the file.

        By default there is no table, and every part is a tensor ``<parameter>/<part>``.
        """
        parts = {f"{name}/{part}": tensor for name, parts in stored.items() for part, tensor in parts.items()}
        return None, {name: tensor.contiguous() for name, tensor in parts.items()}

    def decode(self, table: object, tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Stored]:
        """Parts by the name of their tensor, from what `encode` gave: untrusted input, which `check` validates next."""
        if table is not None:
            raise ValueError(f"a table of parts that the format {self.name} has not")
        return by_tensor(tensors)

    def file_overhead(self, layout: Layout) -> int:
        """Largest number of bytes that a file takes to say where the parts of the tensors of `layout` are."""
        return sum(len(name) + len(part) + _DIRECTORY_ENTRY for name in layout.tensors for part in self.parts)

    @abstractmethod
    def check(self, stored: Mapping[str, Tensor], shape: tuple[int, ...], blocks: tuple[Block, ...]) -> None:
        """Raise ValueError unless `stored` is a change, in this format, of a tensor of `shape` tiled by `blocks`."""


class AbstractWeightFormat(AbstractFormat):
    """Format of a change of weights."""

    mergeable: ClassVar[bool] = True
    additive: ClassVar[bool] = True
    """Whether the added change is independent of the base weight."""

    @abstractmethod
    def apply(self, weight: Tensor, stored: Mapping[str, Tensor], blocks: tuple[Block, ...]) -> Tensor:
        """Compute the changed weight, a new tensor of the same shape, dtype and device as the base weight.

        Parameters
        ----------
        weight : Tensor
            Base weight, any shape; not modified.
        stored : mapping of str to Tensor
            Parts that passed `check`.
        blocks : tuple of Block
            Blocks that tile the flattened weight.
        """


class AbstractGateFormat(AbstractFormat):
    """Format of a change of the outputs of modules; weights do not change, so it cannot be merged."""

    mergeable: ClassVar[bool] = False

    @abstractmethod
    def restore(self, stored: Mapping[str, Tensor], inputs: Irreps, outputs: Irreps) -> nn.Module:
        """Create a module ``gate(features, output) -> output`` with the stored parameters.

        Raises
        ------
        ValueError
            If the parts do not fit a module with these irreps.
        """


def check_shape(name: str, part: Tensor, shape: tuple[int, ...], dtype: torch.dtype | None = None) -> None:
    """Raise ValueError unless a part has the given shape and dtype; None means any floating-point dtype."""
    has_dtype = part.is_floating_point() if dtype is None else part.dtype == dtype
    if tuple(part.shape) != shape or not has_dtype:
        raise ValueError(f"{name} has the shape {tuple(part.shape)} and type {part.dtype}, not the shape {shape}")
