"""Blocks of the weights of e3nn modules, and columns of e3nn features."""

from collections.abc import Iterable, Iterator
from typing import Any

from e3nn.o3 import FullyConnectedTensorProduct, Irreps, Linear
from torch import nn

from equisparse.blocks import Block, Layout, column_blocks, matrix_blocks


def invariant_columns(irreps: Any) -> list[int]:
    """Columns of features that neither rotations nor inversion change.

    Parameters
    ----------
    irreps : Irreps or str
        Irreps of the features.
    """
    parsed = Irreps(irreps)
    columns: list[int] = []
    for (_, irrep), part in zip(parsed, parsed.slices(), strict=True):
        if irrep.is_scalar():
            columns += range(part.start, part.stop)
    return columns


def model_layout(model: nn.Module, blocks: Iterable[Block]) -> Layout:
    """Layout of the blocks of a model, in the order of its parameters."""
    parameters = dict(model.named_parameters())
    position = {name: index for index, name in enumerate(parameters)}
    ordered = sorted(blocks, key=lambda block: position[block.tensor])
    shapes = {block.tensor: tuple(parameters[block.tensor].shape) for block in ordered}
    return Layout(tuple(ordered), shapes, sum(parameter.numel() for parameter in parameters.values()))


def linear_blocks(tensor: str, module: Linear, role: str, layer: int) -> Iterator[Block]:
    """One block (mul_in, mul_out) per path: e3nn stores them one after the other, inputs first."""
    paths = []
    for instruction in module.instructions:
        if instruction.i_in >= 0:  # -1 is a bias
            source, target = module.irreps_in[instruction.i_in].ir, module.irreps_out[instruction.i_out].ir
            paths.append((f"{source}->{target}", target.l, target.p, instruction.path_shape))
    if module.weight.numel():
        yield from matrix_blocks(tensor, paths, role, layer)


def product_blocks(tensor: str, module: FullyConnectedTensorProduct, role: str, layer: int) -> Iterator[Block]:
    """One block (mul_1, mul_2, mul_out) per path; in a self-connection the second operand is the element."""
    paths = [(product_path(module, i), *_output(module, i), i.path_shape) for i in module.instructions]
    if module.weight.numel():
        yield from matrix_blocks(tensor, paths, role, layer)


def radial_blocks(prefix: str, network: nn.Module, product: Any, layer: int) -> Iterator[Block]:
    """Blocks of a radial network; the columns of its last matrix produce the weights of the edge product's paths.

    Parameters
    ----------
    prefix : str
        Name of the network in the model.
    network : Module
        Network whose parameters are matrices (inputs, outputs), first layer first.
    product : TensorProduct or None
        Product whose weights are the network's outputs, `mul` of the first operand per path; None if the outputs are
        scalars.
    layer : int
        Interaction layer.
    """
    *hidden, (last, matrix) = [(f"{prefix}.{key}", value) for key, value in network.named_parameters()]
    for tensor, weight in hidden if product else [*hidden, (last, matrix)]:
        yield from matrix_blocks(tensor, [("radial", 0, 1, tuple(weight.shape))], "radial", layer)
    if product:
        yield from column_blocks(last, matrix.shape[0], weight_paths(product), "radial", layer)


def weight_paths(product: Any) -> list[tuple[str, int, int, int]]:
    """Path, degree l, parity and number of weights of each path of an edge product, in the order of its weights."""
    paths = product.instructions
    return [(product_path(product, i), *_output(product, i), product.irreps_in1[i.i_in1].mul) for i in paths]


def product_path(product: Any, instruction: Any) -> str:
    """Name of the path of an instruction, such as ``1ex2e->1e``."""
    first, second = product.irreps_in1[instruction.i_in1].ir, product.irreps_in2[instruction.i_in2].ir
    return f"{first}x{second}->{product.irreps_out[instruction.i_out].ir}"


def _output(product: Any, instruction: Any) -> tuple[int, int]:
    """Degree and parity of the irrep that an instruction writes to."""
    irrep = product.irreps_out[instruction.i_out].ir
    return irrep.l, irrep.p
