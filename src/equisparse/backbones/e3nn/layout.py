"""Blocks of e3nn's modules and columns of its features; every backbone that is built from them reads them here."""

from collections.abc import Iterable, Iterator
from typing import Any

from e3nn.o3 import FullyConnectedTensorProduct, Irreps, Linear
from torch import nn

from equisparse.blocks import Block, Layout, column_blocks, matrix_blocks


def invariant_columns(irreps: Any) -> list[int]:
    """Columns of features with these irreps (of e3nn, or a text) that neither rotations nor inversion change."""
    parsed = Irreps(irreps)
    pieces = zip(parsed, parsed.slices(), strict=True)
    return [column for (_, ir), piece in pieces if ir.is_scalar() for column in range(piece.start, piece.stop)]


def model_layout(model: nn.Module, blocks: Iterable[Block]) -> Layout:
    """Layout of the blocks of a model, in the order of its parameters."""
    parameters = dict(model.named_parameters())
    order = {name: place for place, name in enumerate(parameters)}
    ordered = sorted(blocks, key=lambda block: order[block.tensor])
    shapes = {block.tensor: tuple(parameters[block.tensor].shape) for block in ordered}
    return Layout(tuple(ordered), shapes, sum(parameter.numel() for parameter in parameters.values()))


def linear_blocks(tensor: str, module: Linear, role: str, layer: int) -> Iterator[Block]:
    """One block (mul_in, mul_out) per path: e3nn stores them one after the other, inputs first."""
    paths = [i for i in module.instructions if i.i_in >= 0]  # i_in = -1 is a bias
    outputs = [module.irreps_out[i.i_out].ir for i in paths]
    names = [f"{module.irreps_in[i.i_in].ir}->{ir}" for i, ir in zip(paths, outputs, strict=True)]
    parts = [(name, ir.l, ir.p, i.path_shape) for name, ir, i in zip(names, outputs, paths, strict=True)]
    if module.weight.numel():
        yield from matrix_blocks(tensor, parts, role, layer)


def product_blocks(tensor: str, module: FullyConnectedTensorProduct, role: str, layer: int) -> Iterator[Block]:
    """One block (mul_1, mul_2, mul_out) per path; the second operand is the elements in a self-connection."""
    parts = [(product_path(module, i), *_output(module, i), i.path_shape) for i in module.instructions]
    if module.weight.numel():
        yield from matrix_blocks(tensor, parts, role, layer)


def radial_blocks(prefix: str, network: nn.Module, product: Any, layer: int) -> Iterator[Block]:
    """Blocks of a radial network; the columns of its last matrix are the weights of the edge product's paths.

    Parameters
    ----------
    prefix : str
        Name of the network in the model.
    network : Module
        Its parameters are matrices (inputs, outputs), first layer first.
    product : TensorProduct or None
        Takes the network's outputs as weights, `mul` of the first operand per path; None if they are scalars.
    layer : int
        Interaction layer.
    """
    *hidden, (last, matrix) = [(f"{prefix}.{key}", value) for key, value in network.named_parameters()]
    for tensor, weight in hidden if product else [*hidden, (last, matrix)]:
        yield from matrix_blocks(tensor, [("radial", 0, 1, tuple(weight.shape))], "radial", layer)
    if product:
        yield from column_blocks(last, matrix.shape[0], weight_paths(product), "radial", layer)


def weight_paths(product: Any) -> list[tuple[str, int, int, int]]:
    """Path, l, parity and number of the weights that each path of an edge product takes, in the order it takes them."""
    paths = product.instructions
    return [(product_path(product, i), *_output(product, i), product.irreps_in1[i.i_in1].mul) for i in paths]


def product_path(product: Any, instruction: Any) -> str:
    """Such as ``1ex2e->1e``."""
    first, second = product.irreps_in1[instruction.i_in1].ir, product.irreps_in2[instruction.i_in2].ir
    return f"{first}x{second}->{product.irreps_out[instruction.i_out].ir}"


def _output(product: Any, instruction: Any) -> tuple[int, int]:
    """Order and parity of the irrep that an instruction writes to."""
    irrep = product.irreps_out[instruction.i_out].ir
    return irrep.l, irrep.p
