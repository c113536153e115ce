"""Blocks of NequIP and Allegro models.

Modules are recognised by the names of their classes: the classes of a packaged model come with the package and are not
the installed ones.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any

from torch import nn

from equisparse.backbones.e3nn.layout import linear_blocks, product_blocks, radial_blocks
from equisparse.blocks import Block, matrix_blocks

_LAYER = re.compile(r"\.(?:layer|latents\.|tps\.)(\d+)")
_RADIAL = ("scalar_embed_mlp", "tensor_embed", "first_layer_env_embed_projection")
"""Networks of Allegro whose inputs are the types and the distance of two atoms."""


def model_blocks(model: nn.Module) -> Iterator[Block]:
    """Blocks of all path weights.

    Parameters that are no weights of a path are left out: biases, energy scales and shifts, the roots of the Bessel
    functions, and the parameters of pair potentials.
    """
    for name, module in model.named_modules():
        yield from _blocks_of(name, module)


def is_a(module: nn.Module, name: str) -> bool:
    """Return whether a module is an instance of a class of that name, or of one derived from it."""
    return any(parent.__name__ == name for parent in type(module).__mro__)


def _blocks_of(name: str, module: Any) -> Iterator[Block]:
    """Blocks of the weights that one module owns, or whose meaning the module above defines."""
    role, layer = _role(name), _layer(name)
    if is_a(module, "Linear") and hasattr(module, "instructions"):
        yield from linear_blocks(f"{name}.weight", module, role, layer)
    elif is_a(module, "FullyConnectedTensorProduct"):
        yield from product_blocks(f"{name}.weight", module, "self_connection", layer)
    elif is_a(module, "InteractionBlock"):
        yield from radial_blocks(f"{name}.edge_mlp", module.edge_mlp, module.tp_scatter.tp, layer)
    elif is_a(module, "Embedding") or (is_a(module, "ScalarMLPFunction") and not name.endswith(".edge_mlp")):
        yield from _scalar_blocks(name, module, role, layer)
    elif is_a(module, "Contracter"):
        yield from _contracter_blocks(f"{name}.weights", module, layer)


def _scalar_blocks(name: str, module: nn.Module, role: str, layer: int) -> Iterator[Block]:
    """One block per matrix (inputs or elements, outputs) between scalars."""
    for key, weight in module.named_parameters():
        if weight.ndim == 2:
            yield from matrix_blocks(f"{name}.{key}", [("0e->0e", 0, 1, tuple(weight.shape))], role, layer)


def _contracter_blocks(tensor: str, module: Any, layer: int) -> Iterator[Block]:
    """One block (channels, 1) per path of Allegro's tensor product, whose weight is (channels, paths).

    Where all channels share one weight per path, they count as one channel.
    """
    triples = itertools.product(module.irreps_out, module.irreps_in1, module.irreps_in2)
    paths = [(first, second, out) for (_, out), (_, first), (_, second) in triples if out in first * second]
    channels = module.mul if module.path_channel_coupling else 1
    for index, (first, second, out) in enumerate(paths):
        path = f"{first}x{second}->{out}"
        yield Block(tensor, path, out.l, out.p, "contraction", layer, index, (channels, 1), (len(paths), 1))


def _role(name: str) -> str:
    """Role of a module by NequIP's and Allegro's naming."""
    if "readout" in name:
        return "readout"
    if any(f".{network}" in name for network in _RADIAL):
        return "radial"
    return "embedding" if "embed" in name else "linear"


def _layer(name: str) -> int:
    """Interaction layer of a module by NequIP's and Allegro's naming; -1 before the first, -2 after the last."""
    if number := _LAYER.search(name):
        return int(number[1])
    return -2 if _role(name) == "readout" else -1
