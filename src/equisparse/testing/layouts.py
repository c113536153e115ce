"""Hypothesis strategies of random layouts, with all kinds of tensors that backbones have."""

import torch
from hypothesis import strategies as st

from equisparse.blocks import Block, Layout, column_blocks, matrix_blocks

DTYPES = st.sampled_from([torch.float32, torch.float64])
"""Precisions that methods support."""

SEEDS = st.integers(0, 2**31 - 1)
"""Seeds of torch generators."""

_LARGEST_DEGREE = 3


@st.composite
def layouts(draw: st.DrawFn, max_tensors: int = 3, max_channels: int = 5, max_paths: int = 4) -> Layout:
    """Layouts of one to `max_tensors` tensors, of all the kinds that `tensor_blocks` draws.

    Parameters
    ----------
    draw
        Function that Hypothesis passes.
    max_tensors, max_channels, max_paths : int
        Largest number of tensors, of channels per irrep, and of blocks per tensor.
    """
    blocks: list[Block] = []
    shapes: dict[str, tuple[int, ...]] = {}
    for number in range(draw(st.integers(1, max_tensors))):
        name = f"layer_{number // 2}.inner.weight_{number % 2}"  # two in one module: order is tested
        tensor, shapes[name] = draw(tensor_blocks(name, number, max_channels, max_paths))
        blocks += tensor
    others = draw(st.integers(0, 100))
    return Layout(tuple(blocks), shapes, sum(block.numel for block in blocks) + others)


@st.composite
def linear_layouts(draw: st.DrawFn, max_tensors: int = 3, max_channels: int = 5, max_paths: int = 4) -> Layout:
    """Layouts of Linears, each alone in its module, of which the first has invariant inputs.

    Parameters
    ----------
    draw, max_tensors, max_channels, max_paths
        As in `layouts`.
    """
    blocks: list[Block] = []
    shapes: dict[str, tuple[int, ...]] = {}
    for number in range(draw(st.integers(1, max_tensors))):
        name, first = f"layer_{number}.linear.weight", [] if number else [(0, 1)]
        paths = draw(st.permutations(first + draw(st.lists(irreps(), min_size=1, max_size=max_paths))))
        parts = [(_path(ir), *ir, draw(st.tuples(*[st.integers(1, max_channels)] * 2))) for ir in paths]
        tensor = matrix_blocks(name, parts, "linear", number)
        blocks, shapes[name] = [*blocks, *tensor], (sum(block.numel for block in tensor),)
    return Layout(tuple(blocks), shapes, sum(block.numel for block in blocks) + draw(st.integers(0, 100)))


@st.composite
def tensor_blocks(
    draw: st.DrawFn, name: str, layer: int, max_channels: int, max_paths: int
) -> tuple[tuple[Block, ...], tuple[int, ...]]:
    """Blocks and shape of one tensor: a Linear, a product with elements, or a radial layer."""
    channels = st.integers(1, max_channels)
    paths = draw(st.lists(irreps(), min_size=1, max_size=max_paths))
    match draw(st.sampled_from(["linear", "self_connection", "radial", "columns"])):
        case "linear":
            parts = [(_path(ir), *ir, (draw(channels), draw(channels))) for ir in paths]
            blocks = matrix_blocks(name, parts, "linear", layer)
        case "self_connection":
            elements = draw(channels)
            products = [
                (f"{_name(ir)}x0e->{_name(ir)}", *ir, (draw(channels), elements, draw(channels))) for ir in paths
            ]
            blocks = matrix_blocks(name, products, "self_connection", layer)
        case "radial":
            shape = (draw(channels), draw(channels))
            return matrix_blocks(name, [("radial", 0, 1, shape)], "radial", layer), shape
        case _:
            columns = [(f"{_name(ir)}x0e->{_name(ir)}", *ir, draw(channels)) for ir in paths]
            rows = draw(channels)
            return column_blocks(name, rows, columns, "radial", layer), (rows, sum(width for *_, width in columns))
    return blocks, (sum(block.numel for block in blocks),)


def irreps() -> st.SearchStrategy[tuple[int, int]]:
    """Strategy of degree and parity of an irrep."""
    return st.tuples(st.integers(0, _LARGEST_DEGREE), st.sampled_from([1, -1]))


def _path(irrep: tuple[int, int]) -> str:
    """Path from an irrep to itself, such as ``1o->1o``."""
    return f"{_name(irrep)}->{_name(irrep)}"


def _name(irrep: tuple[int, int]) -> str:
    """Name of an irrep, such as ``1o``."""
    degree, parity = irrep
    return f"{degree}{'e' if parity == 1 else 'o'}"
