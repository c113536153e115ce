"""Blocks of path weights of a Nequix network."""

import re
from collections.abc import Iterator

from e3nn.o3 import Linear

from equisparse.backbones.e3nn.layout import linear_blocks, radial_blocks
from equisparse.blocks import Block
from equisparse_nequix.model import Convolution, NequixNetwork

_LAYER = re.compile(r"layers\.(\d+)\.")
_OF_ELEMENTS = ("layers.0.linear_1", "layers.0.skip")
"""Linears whose inputs are the elements, one-hot."""


def model_blocks(network: NequixNetwork) -> Iterator[Block]:
    """Blocks of all path weights: Linears and radial networks, without the weights of the layer norms."""
    for name, module in network.named_modules():
        if isinstance(module, Linear):
            yield from linear_blocks(f"{name}.weight", module, _role(name), _layer(name))
        elif isinstance(module, Convolution):
            product = module.messages.product
            yield from radial_blocks(f"{name}.radial_mlp", module.radial_mlp, product, _layer(f"{name}."))


def _role(name: str) -> str:
    """Role of a Linear."""
    if name in _OF_ELEMENTS:
        return "embedding"
    if name == "readout":
        return "readout"
    return "self_connection" if name.endswith(".skip") else "linear"


def _layer(name: str) -> int:
    """Interaction layer of a module; -2 after the last."""
    found = _LAYER.match(name)
    return int(found[1]) if found else -2
