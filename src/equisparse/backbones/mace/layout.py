"""Blocks of MACE models."""

import re
from collections.abc import Iterator
from typing import Any

from e3nn.o3 import FullyConnectedTensorProduct, Linear
from mace.modules.blocks import InteractionBlock
from mace.modules.radial import RadialMLP
from mace.modules.symmetric_contraction import SymmetricContraction
from torch import nn

from equisparse.backbones.e3nn.layout import linear_blocks, product_blocks, radial_blocks, weight_paths
from equisparse.blocks import Block, output_irrep

_LAYER = re.compile(r"^(?:interactions|products)\.(\d+)\.")


def model_blocks(model: nn.Module) -> Iterator[Block]:
    """Blocks of all path weights.

    Parameters that are no weights of a path are left out: biases, layer norms, the radial basis, and the parameters of
    the pair repulsion and of embedded charges or fields.
    """
    for name, module in model.named_modules():
        yield from _blocks_of(name, module)


def _blocks_of(name: str, module: Any) -> Iterator[Block]:
    """Blocks of the weights that one module owns, or whose meaning the module above defines."""
    role, layer = _role(name), _layer(name)
    if isinstance(module, Linear):
        yield from linear_blocks(f"{name}.weight", module, role, layer)
    elif isinstance(module, FullyConnectedTensorProduct):
        yield from product_blocks(f"{name}.weight", module, role, layer)
    elif isinstance(module, SymmetricContraction):
        for number, (contraction, (_, irrep)) in enumerate(zip(module.contractions, module.irreps_out, strict=True)):
            yield from _contraction_blocks(f"{name}.contractions.{number}", contraction, str(irrep), layer)
    elif isinstance(module, InteractionBlock):
        yield from _edge_blocks(name, module, layer)


def _contraction_blocks(name: str, module: Any, irrep: str, layer: int) -> Iterator[Block]:
    """One block (paths, elements, channels) per body order; its tensor is (elements, paths, channels).

    A body order without paths has a tensor of zeros that nothing uses, and no block.
    """
    correlation = module.correlation
    tensors = [("weights_max", correlation)]
    tensors += [(f"weights.{number}", correlation - 1 - number) for number in range(correlation - 1)]
    for tensor, order in tensors:
        weight = module.get_parameter(tensor)
        if not weight.any():
            continue
        elements, paths, channels = weight.shape
        path = f"{order}-body->{irrep}"
        strides = (channels, paths * channels, 1)
        l, parity = output_irrep(path)  # noqa: E741  the field's own name
        yield Block(f"{name}.{tensor}", path, l, parity, "contraction", layer, 0, (paths, elements, channels), strides)


def _edge_blocks(name: str, module: Any, layer: int) -> Iterator[Block]:
    """Blocks of the networks that compute the edge weights of one interaction."""
    for key, product in (("conv_tp_weights", module.conv_tp), ("density_fn", None)):
        if network := getattr(module, key, None):
            blocks_of = _transposed_blocks if isinstance(network, RadialMLP) else radial_blocks
            yield from blocks_of(f"{name}.{key}", network, product, layer)


def _transposed_blocks(prefix: str, network: nn.Module, product: Any, layer: int) -> Iterator[Block]:
    """`radial_blocks` of a network of torch's Linear, whose matrices are (outputs, inputs)."""
    matrices = [(f"{prefix}.{key}", value.shape) for key, value in network.named_parameters() if value.ndim == 2]
    for tensor, (outputs, inputs) in matrices:
        is_last = tensor == matrices[-1][0]
        paths = weight_paths(product) if product and is_last else [("radial", 0, 1, outputs)]
        first = 0
        for path, degree, parity, count in paths:
            yield Block(tensor, path, degree, parity, "radial", layer, first * inputs, (inputs, count), (1, inputs))
            first += count


def _role(name: str) -> str:
    """Role of a module by MACE's naming."""
    if "skip" in name:
        return "self_connection"
    if name.startswith("node_embedding"):
        return "embedding"
    return "readout" if "readout" in name else "linear"


def _layer(name: str) -> int:
    """Interaction layer of a module by MACE's naming; -1 before the first, -2 after the last."""
    if number := _LAYER.match(f"{name}."):
        return int(number[1])
    return -2 if _role(name) == "readout" else -1
