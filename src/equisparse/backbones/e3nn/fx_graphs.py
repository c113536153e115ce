"""Exact rewrite of the torch.fx graphs that e3nn generates, which makes both backward passes cheaper.

With forces in the loss, training differentiates twice. The backward pass of a slice fills a zero tensor as large as the
whole input, once per path, and the second backward pass does so for every concatenation. The rewrite replaces all
slices of a tensor by one split; split and concatenation are each other's derivative to any order. Unused nodes are
removed.
"""

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

_ALL = slice(None, None, None)
_LAST_AXIS = (-1, 1)
"""The last axis of the matrices in these graphs."""


class _Split(torch.autograd.Function):
    """Split along the last axis, whose derivative is `_Concatenate`."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, sizes: Sequence[int]) -> tuple[Tensor, ...]:
        ctx.sizes = sizes
        return tuple(whole.split(list(sizes), -1))

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return concatenate(gradients), None


class _Concatenate(torch.autograd.Function):
    """Concatenation along the last axis, whose derivative is `_Split`."""

    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:
        ctx.sizes = [part.shape[-1] for part in parts]
        return torch.cat(parts, -1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        return split(gradient, ctx.sizes)


def split(whole: Tensor, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """Split `whole` along its last axis into tensors of the given sizes, whose sum is the length of that axis."""
    tensors: tuple[Tensor, ...] = _Split.apply(whole, sizes)  # type: ignore[no-untyped-call]
    return tensors


def concatenate(tensors: Sequence[Tensor]) -> Tensor:
    """Concatenate tensors along their last axis."""
    joined: Tensor = _Concatenate.apply(*tensors)  # type: ignore[no-untyped-call]
    return joined


def rewrite_graphs(model: nn.Module) -> None:
    """Rewrite all generated graphs of a model in place, except graphs that contain in-place operations."""
    for module in model.modules():
        if isinstance(module, fx.GraphModule):
            _rewrite(module)


def _rewrite(module: fx.GraphModule) -> None:
    """Rewrite one graph in place."""
    graph = module.graph
    if any(_writes_in_place(node) for node in graph.nodes):
        return
    graph.eliminate_dead_code()
    for node in list(graph.nodes):
        _join_slices(graph, node)
    for node in list(graph.nodes):
        _replace_concatenation(graph, node)
    graph.lint()
    module.recompile()


def _writes_in_place(node: fx.Node) -> bool:
    """Return whether a node changes a tensor in place, so that it may not be removed even if its result is unused."""
    method = node.op == "call_method" and str(node.target).endswith("_")
    return method or node.target is operator.setitem


def _join_slices(graph: fx.Graph, source: fx.Node) -> None:
    """Replace all slices of a tensor by one split if they tile a range that starts at zero."""
    slices: dict[tuple[int, int], list[fx.Node]] = {}
    for user in source.users:
        if user.args and user.args[0] is source and (ends := _slice_of_columns(user)):
            slices.setdefault(ends, []).append(user)
    ranges = sorted(slices)
    tiled = all(first[1] == second[0] for first, second in itertools.pairwise(ranges))
    if len(ranges) < 2 or ranges[0][0] != 0 or not tiled:
        return
    replaced = {node for nodes in slices.values() for node in nodes}
    with graph.inserting_before(next(node for node in graph.nodes if node in replaced)):
        tensors = _whole(graph.call_function(split, (source, [last - first for first, last in ranges])))
        for index, ends in enumerate(ranges):
            tensor = graph.call_function(operator.getitem, (tensors, index))
            for node in slices[ends]:
                node.replace_all_uses_with(tensor)
    for node in replaced:
        graph.erase_node(node)


def _slice_of_columns(node: fx.Node) -> tuple[int, int] | None:
    """First and last column of ``x[:, first:last]`` or ``x.narrow(-1, first, length)``; None for any other node."""
    if node.op == "call_function" and node.target is operator.getitem:
        index: Any = node.args[1]
        if isinstance(index, tuple) and len(index) == 2 and index[0] == _ALL and isinstance(index[1], slice):
            first, last, step = index[1].start, index[1].stop, index[1].step
            return (first, last) if isinstance(first, int) and isinstance(last, int) and step in (None, 1) else None
    if node.op == "call_method" and node.target == "narrow" and node.args[1] == -1:
        _, _, first, length = node.args
        return (first, first + length) if isinstance(first, int) and isinstance(length, int) else None
    return None


def _replace_concatenation(graph: fx.Graph, node: fx.Node) -> None:
    """Replace ``torch.cat`` along the last axis."""
    if node.op != "call_function" or node.target is not torch.cat:
        return
    axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    if axis in _LAST_AXIS:
        with graph.inserting_before(node):
            joined = _whole(graph.call_function(concatenate, (node.args[0],)))
        node.replace_all_uses_with(joined)
        graph.erase_node(node)


def _whole(node: fx.Node) -> fx.Node:
    """Let `torch.fx` not trace into the function of a node, as it does with the whole graph when it opens a pickle."""
    node.meta["is_wrapped"] = True
    return node
