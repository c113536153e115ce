"""Meaning of a backbone's weights: blocks of path weights, and the layout that lists them.

The Clebsch-Gordan coefficients, which contain the symmetry, are constants. Every weight in a block multiplies an
invariant or mixes the channels of one irrep, so no change of it can break equivariance.
"""

import itertools
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor

ROLES = ("embedding", "linear", "self_connection", "radial", "contraction", "readout", "other")
"""Roles of a tensor in the network, the same words for every backbone; ``other`` are parameters that no path has."""

MOST_WEIGHTS = 2**26
"""Largest number of weights of a layout in a file: more than published models have, and few enough for the memory."""

GATE = "equisparse_gate"
"""Attribute of a module whose output a method changes."""

_MOST_AXES = 8
_OUTPUT = re.compile(r"->([0-9]{1,2})([eo])$")


@dataclass(frozen=True, slots=True)
class Block:
    """Part of a named tensor that belongs to one interaction path.

    Parameters
    ----------
    tensor : str
        Name of the parameter, as in ``model.named_parameters()`` of the untouched base.
    path : str
        The irreps that the path connects, such as ``"1e->1e"`` or ``"1ex2e->1e"``.
    l, parity : int
        Degree (0 scalar, 1 vector ...) and parity (1 even, -1 odd) of the output irrep.
    role : str
        One of `ROLES`.
    layer : int
        Index of the interaction layer; -1 before the first and -2 after the last.
    offset : int
        First element in the flattened tensor.
    shape : tuple of int
        ``(mul_in, mul_out)`` or ``(mul_in, elements, mul_out)``.
    strides : tuple of int
        Strides in the flattened tensor, one per axis of `shape`; empty for a contiguous block.
    """

    tensor: str
    path: str
    l: int  # noqa: E741  the standard name for the degree of an irrep
    parity: int
    role: str
    layer: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] = ()

    @property
    def numel(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)

    @property
    def steps(self) -> tuple[int, ...]:
        """Strides in the flattened tensor, also for a contiguous block."""
        return self.strides or tuple(math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape)))

    def indices(self) -> Tensor:
        """Positions of all weights in the flattened tensor, of shape `shape`, int64."""
        axes = [torch.arange(size) * step for size, step in zip(self.shape, self.steps, strict=True)]
        return sum(torch.meshgrid(*axes, indexing="ij"), torch.tensor(self.offset))

    def view(self, weight: Tensor) -> Tensor:
        """View of this block in `weight`, a contiguous tensor of any shape; the view has the shape `shape`."""
        return weight.detach().reshape(-1).as_strided(self.shape, self.steps, self.offset)


@dataclass(frozen=True)
class Layout:
    """All blocks of one model, and the size of the model.

    Parameters
    ----------
    blocks : tuple of Block
        Blocks in the order of the model's parameters; every entry of a tensor is in exactly one of its blocks.
    tensor_shapes : mapping of str to tuple of int
        Shape of every tensor that has blocks.
    total_parameters : int
        Number of parameters of the whole base model, selected or not.
    """

    blocks: tuple[Block, ...]
    tensor_shapes: Mapping[str, tuple[int, ...]] = field(hash=False)
    total_parameters: int = 0

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of the tensors that have blocks, in the order of the model."""
        return tuple(self.tensor_shapes)

    @property
    def numel(self) -> int:
        """Number of weights in all blocks."""
        return sum(block.numel for block in self.blocks)

    def __iter__(self) -> Iterator[Block]:
        return iter(self.blocks)

    def of(self, tensor: str) -> tuple[Block, ...]:
        """Blocks of one tensor; empty if it has none."""
        return self._by_tensor.get(tensor, ())

    @cached_property
    def _by_tensor(self) -> Mapping[str, tuple[Block, ...]]:
        """Blocks by the name of their tensor."""
        by_tensor: dict[str, list[Block]] = {}
        for block in self.blocks:
            by_tensor.setdefault(block.tensor, []).append(block)
        return {name: tuple(blocks) for name, blocks in by_tensor.items()}

    def size_of(self, tensor: str) -> int:
        """Number of weights of one tensor."""
        return math.prod(self.tensor_shapes[tensor])

    def restrict(self, tensors: Iterable[str]) -> "Layout":
        """Layout of only some tensors; `total_parameters` remains that of the whole model."""
        names = set(tensors)
        return Layout(
            tuple(block for block in self.blocks if block.tensor in names),
            {name: shape for name, shape in self.tensor_shapes.items() if name in names},
            self.total_parameters,
        )

    def to_dict(self) -> dict[str, object]:
        """Compact plain values for a JSON header; `from_dict` reads them back."""
        tensors = {}
        for name, shape in self.tensor_shapes.items():
            blocks = self.of(name)
            short = [_shorten(block, first) for block, first in zip(blocks, _running_offsets(blocks), strict=True)]
            head = {"shape": list(shape), "role": blocks[0].role, "layer": blocks[0].layer}
            tensors[name] = head | {"blocks": short}
        return {"total_parameters": self.total_parameters, "tensors": tensors}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> "Layout":
        """Layout from the values of `to_dict`; they are untrusted input, and every field is validated.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the values are not those of a layout: the blocks do not tile their tensors, or there are more weights
            than parameters of the model.
        """
        blocks: list[Block] = []
        tensors = cast(Mapping[str, Any], values["tensors"])
        for name, entry in tensors.items():
            offset = 0
            for path, shape, *position in entry["blocks"]:
                degree, parity = output_irrep(path)
                start, strides = (position[0], _integers(position[1])) if position else (offset, ())
                size, (layer, start) = _integers(shape), _integers((entry["layer"], start))
                blocks.append(Block(name, path, degree, parity, entry["role"], layer, start, size, strides))
                offset += math.prod(size)
        shapes = {name: _integers(entry["shape"]) for name, entry in tensors.items()}
        layout = cls(tuple(blocks), shapes, *_integers((values["total_parameters"],)))
        _check(layout)
        return layout


def _integers(values: Iterable[Any]) -> tuple[int, ...]:
    """The same values as a tuple; ValueError unless they are a few integers of a machine's size."""
    numbers = tuple(values)
    if len(numbers) > _MOST_AXES or not all(type(n) is int and abs(n) <= sys.maxsize for n in numbers):
        raise ValueError("invalid shape, stride or size")
    return numbers


def _check(layout: Layout) -> None:
    """Raise ValueError unless the layout can be that of a model."""
    sizes = [layout.size_of(name) for name in layout.tensors]
    if min(sizes, default=1) < 1 or not sum(sizes) <= layout.total_parameters <= sys.maxsize:
        raise ValueError("a tensor is empty, or all tensors together are larger than the model")
    if sum(sizes) > MOST_WEIGHTS:
        raise ValueError(f"more than {MOST_WEIGHTS} weights")
    for name in layout.tensors:
        if not name.isprintable() or not _tiled(layout.of(name), layout.size_of(name)):
            raise ValueError(f"the blocks do not tile {name!r:.80}")


def _tiled(blocks: tuple[Block, ...], size: int) -> bool:
    """Return whether every entry of a tensor with `size` entries belongs to exactly one block."""
    if sum(block.numel for block in blocks) != size or not all(_well_formed(block, size) for block in blocks):
        return False
    if not any(block.strides for block in blocks) and [b.offset for b in blocks] == _running_offsets(blocks):
        return True
    covered = torch.zeros(size, dtype=torch.bool)
    for block in blocks:
        block.view(covered).fill_(True)
    return bool(covered.all())


def _well_formed(block: Block, size: int) -> bool:
    """Return whether a block has a known role, a printable path, and all entries within a tensor of `size` entries."""
    shaped = len(block.shape) in (2, 3) and len(block.steps) == len(block.shape) and min(block.shape) > 0
    if not shaped or min(block.steps) < 0 or block.offset < 0:
        return False
    last = block.offset + sum((n - 1) * step for n, step in zip(block.shape, block.steps, strict=True))
    return last < size and block.role in ROLES and block.path.isprintable() and block.layer >= -2


def output_irrep(path: str) -> tuple[int, int]:
    """Degree and parity of the output irrep of a path; a path without irreps, such as ``"radial"``, is scalar and even.

    >>> output_irrep("1ex2e->1o")
    (1, -1)
    """
    if not (match := _OUTPUT.search(path)):
        return 0, 1
    return int(match[1]), 1 if match[2] == "e" else -1


def _shorten(block: Block, running: int) -> list[object]:
    """``[path, shape]``, with offset and strides only if the block does not follow the previous one contiguously."""
    plain: list[object] = [block.path, list(block.shape)]
    return plain if block.offset == running and not block.strides else [*plain, block.offset, list(block.strides)]


def _running_offsets(blocks: tuple[Block, ...]) -> list[int]:
    """Offset of each block if all were contiguous."""
    return [0, *itertools.accumulate(block.numel for block in blocks)][: len(blocks)]


def matrix_blocks(
    tensor: str, paths: Iterable[tuple[str, int, int, tuple[int, ...]]], role: str, layer: int
) -> tuple[Block, ...]:
    """Contiguous blocks one after the other, as e3nn stores the paths of a Linear.

    Parameters
    ----------
    tensor, role, layer
        As in `Block`.
    paths : iterable of (path, l, parity, shape)
        In storage order; a shape is ``(mul_in, mul_out)`` or ``(mul_in, elements, mul_out)``.
    """
    blocks, offset = [], 0
    for path, degree, parity, shape in paths:
        blocks.append(Block(tensor, path, degree, parity, role, layer, offset, shape))
        offset += math.prod(shape)
    return tuple(blocks)


def column_blocks(
    tensor: str, rows: int, paths: Iterable[tuple[str, int, int, int]], role: str, layer: int
) -> tuple[Block, ...]:
    """Blocks of adjacent columns of a matrix ``(rows, columns)``, such as the last layer of a radial network.

    Parameters
    ----------
    tensor, role, layer
        As in `Block`.
    rows : int
        Number of rows of the matrix.
    paths : iterable of (path, l, parity, columns)
        Paths from left to right, with their numbers of columns.
    """
    paths = list(paths)
    width = sum(columns for *_, columns in paths)
    blocks, first = [], 0
    for path, degree, parity, columns in paths:
        blocks.append(Block(tensor, path, degree, parity, role, layer, first, (rows, columns), (width, 1)))
        first += columns
    return tuple(blocks)
