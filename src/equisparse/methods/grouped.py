"""Products of all tensors computed together: one batched matrix product for all paths of a shape.

A step composes every changed weight, path by path, and differentiates it. On a GPU the launches of these many small
products take longer than the products themselves.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from equisparse.formats.products import Shapes, total_size
from equisparse.methods.factored import AbstractFactored


class GroupedProducts:
    """All products of some changes.

    The factors of all of them are joined and reordered, so that the factors of one shape are next to one another; the
    products are reordered into the weights. Every reordering is one operation, and so is its derivative.

    Parameters
    ----------
    changes : Module
        Module with the products, on their device; their parameters stay where they are.
    """

    def __init__(self, changes: nn.Module) -> None:
        self._products = [module for module in changes.modules() if isinstance(module, AbstractFactored)]
        places = _Places(self._products)
        device = self._products[0].order.device if self._products else torch.device("cpu")
        self._inputs, self._outputs = _Reordering(places.inputs, device), _Reordering(places.outputs, device)
        self._groups = places.groups

    @contextmanager
    def computed(self) -> Iterator[None]:
        """Compute all products once, and let them return these values within the block; nothing if all are idle."""
        if all(product.idle for product in self._products):
            yield
            return
        try:
            for product, value in zip(self._products, self._values(), strict=True):
                product.value = value
            yield
        finally:
            for product in self._products:
                product.value = None

    def _values(self) -> list[Tensor]:
        """Value of every product, flattened."""
        factors: list[Tensor] = []
        for product in self._products:
            factors += product.present_factors()
        sizes = [size for shapes, count in self._groups for size in _sizes(shapes, count)]
        pieces = iter(self._inputs(torch.cat(factors)).split(sizes))
        results = []
        for (down, up), count in self._groups:
            a, b = next(pieces).view(count, *down), next(pieces).view(count, *up)
            results.append(torch.bmm(a, b).view(-1))
        joined = self._outputs(torch.cat(results))
        return list(joined.split([product.order.numel() for product in self._products]))


class _Block(NamedTuple):
    """One path: its place among all paths, and the positions of its two factors in the joined factors."""

    number: int
    down: Tensor
    up: Tensor


class _Places:
    """Where every entry of factors and weights is before and after the reordering.

    Parameters
    ----------
    products : sequence of AbstractFactored

    Attributes
    ----------
    groups : list of (Shapes, int)
        Shapes of two factors, and the number of blocks that have them.
    inputs : Tensor
        Position in the joined factors of every entry of the groups: all A of the first group, all B of it, and so on.
    outputs : Tensor
        Position in the joined products of the groups of every entry of the joined weights.
    """

    def __init__(self, products: Sequence[AbstractFactored]) -> None:
        members: dict[Shapes, list[_Block]] = defaultdict(list)
        for shapes, block in _blocks(products):
            members[shapes].append(block)
        self.groups = [(shapes, len(blocks)) for shapes, blocks in members.items()]
        inputs: list[Tensor] = []
        for blocks in members.values():
            inputs += [block.down for block in blocks] + [block.up for block in blocks]
        self.inputs, self.outputs = _joined(inputs), _output_places(products, members)


def _blocks(products: Sequence[AbstractFactored]) -> Iterator[tuple[Shapes, _Block]]:
    """Blocks of all products, one after the other, with the shapes of their factors."""
    start = number = 0
    for product in products:
        down = start
        up = start + total_size(down_shape for down_shape, _ in product.shapes)
        for shapes in product.shapes:
            sizes = [total_size([shape]) for shape in shapes]
            yield shapes, _Block(number, torch.arange(down, down + sizes[0]), torch.arange(up, up + sizes[1]))
            down, up, number = down + sizes[0], up + sizes[1], number + 1
        start = up


def _output_places(products: Sequence[AbstractFactored], members: Mapping[Shapes, Sequence[_Block]]) -> Tensor:
    """Position in the joined products of the groups of every entry of the joined weights."""
    places: dict[int, Tensor] = {}
    start = 0
    for ((rows, _), (_, columns)), blocks in members.items():
        for block in blocks:
            places[block.number] = torch.arange(start, start + rows * columns)
            start += rows * columns
    ordered: list[Tensor] = []
    first = 0
    for product in products:
        following = first + len(product.shapes)
        own = torch.cat([places[index] for index in range(first, following)])
        ordered.append(own[product.order.cpu()])
        first = following
    return _joined(ordered)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Joined positions; none of none."""
    return torch.cat(list(parts)) if parts else torch.empty(0, dtype=torch.int64)


def _sizes(shapes: Shapes, count: int) -> tuple[int, int]:
    """Number of entries of all A, and of all B, of a group."""
    down, up = shapes
    return count * total_size([down]), count * total_size([up])


class _Reordering:
    """Permutation of the entries of a flat tensor, whose derivative is the inverse permutation."""

    def __init__(self, order: Tensor, device: torch.device) -> None:
        self._order, self._inverse = order.to(device), order.argsort().to(device)

    def __call__(self, flat: Tensor) -> Tensor:
        """Entries in the new order."""
        reordered: Tensor = _Reorder.apply(flat, self._order, self._inverse)  # type: ignore[no-untyped-call]
        return reordered


class _Reorder(torch.autograd.Function):
    """`index_select` by a permutation; the derivative of that of torch adds to zeros."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(order, inverse)
        return flat.index_select(0, order)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        order, inverse = ctx.saved_tensors
        return _Reorder.apply(gradient, inverse, order), None, None  # type: ignore[no-untyped-call]
