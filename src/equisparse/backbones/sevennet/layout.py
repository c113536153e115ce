"""Blocks of SevenNet models."""

import re
from collections.abc import Iterator

from e3nn.o3 import FullyConnectedTensorProduct, Linear
from sevenn.nn.convolution import IrrepsConvolution
from torch import nn

from equisparse.backbones.e3nn.layout import linear_blocks, product_blocks, radial_blocks
from equisparse.blocks import Block


def model_blocks(model: nn.Module) -> Iterator[Block]:
    """Blocks of all path weights."""
    for name, module in model.named_modules():
        yield from _blocks_of(name, module)


def _blocks_of(name: str, module: nn.Module) -> Iterator[Block]:
    """Blocks of the weights that one module owns."""
    role, layer = _role(name), _layer(name)
    if isinstance(module, Linear):
        yield from linear_blocks(f"{name}.weight", module, role, layer)
    elif isinstance(module, FullyConnectedTensorProduct):
        yield from product_blocks(f"{name}.weight", module, role, layer)
    elif isinstance(module, IrrepsConvolution):
        yield from radial_blocks(f"{name}.weight_nn", module.weight_nn, module.convolution, layer)


def _role(name: str) -> str:
    """Role of a module by SevenNet's naming."""
    if name.startswith("onehot_to_feature"):
        return "embedding"
    if "self_connection" in name:
        return "self_connection"
    return "readout" if name.startswith(("reduce_", "readout")) else "linear"


def _layer(name: str) -> int:
    """Interaction layer of a module by SevenNet's naming; -1 before the first, -2 after the last."""
    if number := re.match(r"(\d+)_", name):
        return int(number[1])
    return -1 if _role(name) == "embedding" else -2
