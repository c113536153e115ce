"""Convolution of an `EdgeProduct` in one compiled loop over the edges, with its derivatives of first and second order.

No tensor of messages, shape (edges, components of all paths), is stored: training steps on a CPU wait for the memory
that such tensors pass through. ``convolution.cpp`` has the loops.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from equisparse.backbones.e3nn.compiler import PRECISIONS, library

_BYTES = 64
"""Size of a vector inside of the loops."""
_EDGES_PER_THREAD = 64
"""Fewest edges that are worth a thread."""
_MOST_BYTES = 2**28
"""Largest memory of the rows that the threads sum into, of which each may have a copy."""
MOST_COMPONENTS = 7
"""Largest number of components of an irrep."""


class EdgePath(NamedTuple):
    """A path of an edge product.

    Parameters
    ----------
    source : int
        Index of its input irrep.
    channels, components : int
        Size of its output irrep.
    """

    source: int
    channels: int
    components: int


class _Rows(NamedTuple):
    """Where the parts of a row are outside and inside of the loops, and the sizes of the row.

    Parameters
    ----------
    table : list of int
        Place outside in entries, place inside in vectors, channels and components of each part.
    places : list of int
        Place of each part inside, in vectors.
    size, vectors : int
        Length of the row outside in entries, and inside in vectors.
    """

    table: list[int]
    places: list[int]
    size: int
    vectors: int


class FusedConvolution:
    """Sum over edges of an edge product.

    Parameters
    ----------
    inputs : sequence of (int, int)
        Channels and components of each input irrep.
    paths : sequence of EdgePath
        Paths in the order of their weights; the columns of the matrices of an input irrep are those of its paths.
    order : sequence of int
        Indices of the paths in the order of the outputs.
    """

    def __init__(self, inputs: Sequence[tuple[int, int]], paths: Sequence[EdgePath], order: Sequence[int]) -> None:
        self._inputs, self._paths, self._order = list(inputs), list(paths), list(order)
        self._tables: dict[torch.dtype, tuple[Tensor, list[int]]] = {}

    def fits(self) -> bool:
        """Return whether the compiled loops know all irreps."""
        sizes = [size for _, size in self._inputs] + [path.components for path in self._paths]
        return max(sizes, default=1) <= MOST_COMPONENTS

    def takes(self, features: Tensor) -> bool:
        """Return whether the compiled loops know the device and the precision of features."""
        return features.device.type == "cpu" and features.dtype in PRECISIONS

    def __call__(self, features: Tensor, matrices: Tensor, weights: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """Sum the messages of all edges.

        Parameters
        ----------
        features : Tensor, shape (n_atoms, dimension of the input irreps)
        matrices : Tensor, shape (n_edges, entries)
            Harmonics of each edge contracted with the coefficients of the product.
        weights : Tensor, shape (n_edges, number of weights)
        source, target : Tensor, shape (n_edges,)

        Returns
        -------
        Tensor, shape (n_atoms, dimension of the output irreps)

        Raises
        ------
        ValueError
            If a row has another length.
        """
        arguments = features, matrices.to(features.dtype), weights.to(features.dtype)
        lengths, expected = [value.shape[1] for value in arguments], self._table(features.dtype)[1][:3]
        if lengths != expected:  # the loops do not check where they read
            raise ValueError(f"rows of {lengths} values in place of {expected}")
        edges = source.to(torch.int64), target.to(torch.int64)
        summed: Tensor = _Value.apply(*arguments, *edges, self)  # type: ignore[no-untyped-call]
        return summed

    def call(
        self, name: str, edges: tuple[Tensor, Tensor], arguments: Sequence[Tensor], results: Sequence[Tensor]
    ) -> None:
        """Call one of the compiled functions.

        Parameters
        ----------
        name : str
            ``value``, ``gradient`` or ``second``.
        edges : (Tensor, Tensor)
            Atoms that an edge starts from, and atoms whose messages are summed.
        arguments, results : sequence of Tensor
            Features, matrices, weights and so on, and the contiguous tensors that are written.

        Raises
        ------
        BackboneError
            If the functions cannot be compiled.
        MemoryError
            If there is not enough memory.
        """
        n_atoms, n_edges, dtype = len(arguments[0]), len(edges[0]), arguments[0].dtype
        table, sizes = self._table(dtype)
        shape = torch.tensor([n_atoms, n_edges, _threads(n_atoms, n_edges, sizes[4] + sizes[6]), *sizes])
        tensors = [tensor.contiguous() for tensor in (*edges, *arguments)]
        library(dtype).call(name, [shape, table, *tensors, *results])

    def outputs(self, dtype: torch.dtype) -> int:
        """Dimension of the output irreps."""
        return self._table(dtype)[1][3]

    def _table(self, dtype: torch.dtype) -> tuple[Tensor, list[int]]:
        """Tables of the paths and rows for the loops, and the sizes that go with them."""
        if dtype not in self._tables:
            self._tables[dtype] = self._built_table(_BYTES // dtype.itemsize)
        return self._tables[dtype]

    def _built_table(self, lanes: int) -> tuple[Tensor, list[int]]:
        """Tables for vectors of `lanes` values."""
        x = _rows(self._inputs, lanes)
        w = _rows([(path.channels, 1) for path in self._paths], lanes)
        ordered = [self._paths[index] for index in self._order]
        z = _rows([(path.channels, path.components) for path in ordered], lanes)
        z_places = dict(zip(self._order, z.places, strict=True))
        entries: list[int] = []
        start = 0
        for source, (_, components) in enumerate(self._inputs):
            own = [index for index, path in enumerate(self._paths) if path.source == source]
            stride = sum(self._paths[index].components for index in own)
            column = start
            for index in own:
                path = self._paths[index]
                blocks = -(-path.channels // lanes)
                entries += [x.places[source], column, stride, w.places[index], z_places[index], blocks]
                entries += [components, path.components]
                column += path.components
            start += components * stride
        table = torch.tensor([*entries, *x.table, *w.table, *z.table])
        counts = [len(self._paths), len(self._inputs), len(self._paths), len(self._paths)]
        return table, [x.size, start, w.size, z.size, x.vectors, w.vectors, z.vectors, *counts]


def _threads(n_atoms: int, n_edges: int, vectors: int) -> int:
    """Number of threads for a graph whose atoms have rows of some vectors."""
    copies = _MOST_BYTES // max(1, n_atoms * vectors * _BYTES)
    return max(1, min(torch.get_num_threads(), n_edges // _EDGES_PER_THREAD, copies))


def _rows(parts: Sequence[tuple[int, int]], lanes: int) -> _Rows:
    """Places of parts of (channels, components) that follow one another."""
    table: list[int] = []
    places: list[int] = []
    outside = inside = 0
    for channels, components in parts:
        table += [outside, inside, channels, components]
        places.append(inside)
        outside += channels * components
        inside += components * -(-channels // lanes)
    return _Rows(table, places, outside, inside)


class _Value(torch.autograd.Function):
    """The convolution."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, m: Tensor, w: Tensor, source: Tensor, target: Tensor, fused: Any) -> Tensor:
        ctx.save_for_backward(x, m, w, source, target)
        ctx.fused = fused
        z = x.new_empty(len(x), fused.outputs(x.dtype))
        fused.call("value", (source, target), (x, m, w), (z,))
        return z

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, m, w, source, target = ctx.saved_tensors
        gradients = _Gradient.apply(x, m, w, g, source, target, ctx.fused)  # type: ignore[no-untyped-call]
        return (*gradients, None, None, None)


class _Gradient(torch.autograd.Function):
    """Derivatives of the convolution by its first three arguments."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, m: Tensor, w: Tensor, g: Tensor, source: Tensor, target: Tensor, fused: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(x, m, w, g, source, target)
        ctx.fused = fused
        gradients = torch.empty_like(x), torch.empty_like(m), torch.empty_like(w)
        fused.call("gradient", (source, target), (x, m, w, g), gradients)
        return gradients

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, ax: Tensor, am: Tensor, aw: Tensor) -> tuple[Tensor | None, ...]:
        x, m, w, g, source, target = ctx.saved_tensors
        dg, dx, dm, dw = torch.empty_like(g), torch.empty_like(x), torch.empty_like(m), torch.empty_like(w)
        ctx.fused.call("second", (source, target), (x, m, w, g, ax, am, aw), (dg, dx, dm, dw))
        return dx, dm, dw, dg, None, None, None
