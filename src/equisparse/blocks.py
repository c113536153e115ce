"""What a backbone's weights mean: blocks of path weights, and the layout that lists them.

Symmetry lives in the Clebsch-Gordan coefficients, which are constants. Every weight that a block names multiplies an
invariant or mixes the channels of one irrep, so changing it can never break equivariance.
"""

import itertools
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

ROLES = ("embedding", "linear", "self_connection", "radial", "contraction", "readout")
"""What a tensor does in the network; every backbone uses these words."""

MOST_WEIGHTS = 2**26
"""Most weights that the layout in a file may claim: more than published models have, few enough to be held at once."""

GATE = "equisparse_gate"
"""Name under which a module holds what changes its output, where a method does so."""

_MOST_AXES = 8
_OUTPUT = re.compile(r"->([0-9]{1,2})([eo])$")


@dataclass(frozen=True, slots=True)
class Block:
    """A view of one named tensor that belongs to one interaction path.

    Parameters
    ----------
    tensor : str
        Name of the parameter, as in ``model.named_parameters()`` of the untouched base.
    path : str
        The irreps that the path joins, such as ``"1e->1e"`` or ``"1ex2e->1e"``.
    l, parity : int
        Order (0 = scalar, 1 = vector ...) and parity (1 even, -1 odd) of the output irrep.
    role : str
        One of `ROLES`.
    layer : int
        Interaction layer, counted from 0; -1 before the first and -2 after the last.
    offset : int
        First element in the flattened tensor.
    shape : tuple of int
        ``(mul_in, mul_out)`` or ``(mul_in, elements, mul_out)``.
    strides : tuple of int
        Steps in the flattened tensor, one per axis of `shape`; contiguous if empty.
    """

    tensor: str
    path: str
    l: int  # noqa: E741  the field's own name for the order of an irrep
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
        """Strides, those of a contiguous block if none were given."""
        return self.strides or tuple(math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape)))

    def indices(self) -> Tensor:
        """Positions in the flattened tensor, shape `shape`, int64."""
        axes = [torch.arange(size) * step for size, step in zip(self.shape, self.steps, strict=True)]
        return sum(torch.meshgrid(*axes, indexing="ij"), torch.tensor(self.offset))

    def view(self, weight: Tensor) -> Tensor:
        """Part of `weight` (any shape) that is this block, as a view of shape `shape`."""
        return weight.detach().reshape(-1).as_strided(self.shape, self.steps, self.offset)


@dataclass(frozen=True)
class Layout:
    """All blocks of one model, and the number of parameters they are counted against.

    Parameters
    ----------
    blocks : tuple of Block
        In the order of the model's parameters; the blocks of a tensor tile it exactly.
    tensor_shapes : dict of str to tuple of int
        Shape of every tensor that has a block.
    total_parameters : int
        Number of parameters of the whole base model, selected or not.
    """

    blocks: tuple[Block, ...]
    tensor_shapes: Mapping[str, tuple[int, ...]] = field(hash=False)
    total_parameters: int = 0

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of the tensors that have blocks, in order."""
        return tuple(self.tensor_shapes)

    @property
    def numel(self) -> int:
        """Number of weights in all blocks."""
        return sum(block.numel for block in self.blocks)

    def __iter__(self) -> Iterator[Block]:
        return iter(self.blocks)

    def of(self, tensor: str) -> tuple[Block, ...]:
        """Blocks of one tensor."""
        return self._by_tensor.get(tensor, ())

    @cached_property
    def _by_tensor(self) -> Mapping[str, tuple[Block, ...]]:
        """Blocks by the name of their tensor."""
        found: dict[str, list[Block]] = {}
        for block in self.blocks:
            found.setdefault(block.tensor, []).append(block)
        return {name: tuple(blocks) for name, blocks in found.items()}

    def size_of(self, tensor: str) -> int:
        """Number of weights of one tensor."""
        return math.prod(self.tensor_shapes[tensor])

    def restrict(self, tensors: Iterable[str]) -> "Layout":
        """The same layout with only some tensors; `total_parameters` stays that of the whole model."""
        names = set(tensors)
        return Layout(
            tuple(block for block in self.blocks if block.tensor in names),
            {name: shape for name, shape in self.tensor_shapes.items() if name in names},
            self.total_parameters,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON header, kept short; `from_dict` reads them back."""
        tensors = {}
        for name, shape in self.tensor_shapes.items():
            blocks = self.of(name)
            short = [_shorten(block, first) for block, first in zip(blocks, _running_offsets(blocks), strict=True)]
            head = {"shape": list(shape), "role": blocks[0].role, "layer": blocks[0].layer}
            tensors[name] = head | {"blocks": short}
        return {"total_parameters": self.total_parameters, "tensors": tensors}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Layout":
        """Layout of the plain values that `to_dict` gave; nothing in them is believed.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the values are not those of a layout: each tensor tiled by its blocks, and no more weights than the
            model has parameters.
        """
        blocks: list[Block] = []
        for name, entry in values["tensors"].items():
            offset = 0
            for path, shape, *place in entry["blocks"]:
                order, parity = output_irrep(path)
                start, strides = (place[0], _whole_numbers(place[1])) if place else (offset, ())
                size, (layer, start) = _whole_numbers(shape), _whole_numbers((entry["layer"], start))
                blocks.append(Block(name, path, order, parity, entry["role"], layer, start, size, strides))
                offset += math.prod(size)
        shapes = {name: _whole_numbers(entry["shape"]) for name, entry in values["tensors"].items()}
        layout = cls(tuple(blocks), shapes, *_whole_numbers((values["total_parameters"],)))
        _check(layout)
        return layout


def _whole_numbers(values: Iterable[Any]) -> tuple[int, ...]:
    """The same values; ValueError unless they are few whole numbers of a machine's size."""
    numbers = tuple(values)
    if len(numbers) > _MOST_AXES or not all(type(n) is int and abs(n) <= sys.maxsize for n in numbers):
        raise ValueError("a shape, stride or size that is none")
    return numbers


def _check(layout: Layout) -> None:
    """Raise ValueError unless the layout can be that of a model."""
    sizes = [layout.size_of(name) for name in layout.tensors]
    if min(sizes, default=1) < 1 or not sum(sizes) <= layout.total_parameters <= sys.maxsize:
        raise ValueError("tensors that are empty, or larger than the model together")
    if sum(sizes) > MOST_WEIGHTS:
        raise ValueError(f"more than {MOST_WEIGHTS} weights")
    for name in layout.tensors:
        if not name.isprintable() or not _tiled(layout.of(name), layout.size_of(name)):
            raise ValueError(f"the blocks do not tile {name!r:.80}")


def _tiled(blocks: tuple[Block, ...], size: int) -> bool:
    """Whether every entry of a tensor of `size` entries belongs to exactly one block."""
    if sum(block.numel for block in blocks) != size or not all(_well_formed(block, size) for block in blocks):
        return False
    if not any(block.strides for block in blocks) and [b.offset for b in blocks] == _running_offsets(blocks):
        return True
    covered = torch.zeros(size, dtype=torch.bool)
    for block in blocks:
        block.view(covered).fill_(True)
    return bool(covered.all())


def _well_formed(block: Block, size: int) -> bool:
    """Whether a block has a known role, a printable path, and entries that lie within a tensor of `size` entries."""
    shaped = len(block.shape) in (2, 3) and len(block.steps) == len(block.shape) and min(block.shape) > 0
    if not shaped or min(block.steps) < 0 or block.offset < 0:
        return False
    last = block.offset + sum((n - 1) * step for n, step in zip(block.shape, block.steps, strict=True))
    return last < size and block.role in ROLES and block.path.isprintable() and block.layer >= -2


def output_irrep(path: str) -> tuple[int, int]:
    """Order and parity of the irrep that a path ends in; a path without one, such as ``"radial"``, is scalar and even.

    >>> output_irrep("1ex2e->1o")
    (1, -1)
    """
    if not (found := _OUTPUT.search(path)):
        return 0, 1
    return int(found[1]), 1 if found[2] == "e" else -1


def _shorten(block: Block, running: int) -> list[Any]:
    """``[path, shape]``, with offset and strides only where the block does not simply follow the one before."""
    plain = [block.path, list(block.shape)]
    return plain if block.offset == running and not block.strides else [*plain, block.offset, list(block.strides)]


def _running_offsets(blocks: tuple[Block, ...]) -> list[int]:
    """Where each block would begin if all were contiguous."""
    return [0, *itertools.accumulate(block.numel for block in blocks)][: len(blocks)]


def matrix_blocks(
    tensor: str, parts: Iterable[tuple[str, int, int, tuple[int, ...]]], role: str, layer: int
) -> tuple[Block, ...]:
    """Contiguous blocks one after the other, as e3nn stores the paths of a Linear.

    Parameters
    ----------
    tensor, role, layer
        As in `Block`.
    parts : iterable of (path, l, parity, shape)
        In storage order; a shape is ``(mul_in, mul_out)`` or ``(mul_in, elements, mul_out)``.
    """
    blocks, offset = [], 0
    for path, order, parity, shape in parts:
        blocks.append(Block(tensor, path, order, parity, role, layer, offset, shape))
        offset += math.prod(shape)
    return tuple(blocks)


def column_blocks(
    tensor: str, rows: int, parts: Iterable[tuple[str, int, int, int]], role: str, layer: int
) -> tuple[Block, ...]:
    """Blocks of columns of a matrix ``(rows, columns)``, as the last layer of a radial network has them.

    Parameters
    ----------
    tensor, role, layer
        As in `Block`.
    rows : int
        Rows of the matrix.
    parts : iterable of (path, l, parity, columns)
        From left to right.
    """
    parts = list(parts)
    width = sum(columns for *_, columns in parts)
    blocks, first = [], 0
    for path, order, parity, columns in parts:
        blocks.append(Block(tensor, path, order, parity, role, layer, first, (rows, columns), (width, 1)))
        first += columns
    return tuple(blocks)
