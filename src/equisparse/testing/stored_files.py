"""Digests of the contents of adapter files, for regression tests on files of earlier releases."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from equisparse.adapters.adapter import Adapter
from equisparse.blocks import Layout, column_blocks, matrix_blocks
from equisparse.testing.networks import PathNetwork

ADAPTER_LAYOUT = Layout(
    (
        *matrix_blocks("mix.weight", [("0e->0e", 0, 1, (6, 5)), ("1o->1o", 1, -1, (4, 4))], "linear", 0),
        *matrix_blocks("tp.weight", [("1ox0e->1o", 1, -1, (3, 2, 3))], "self_connection", 0),
        *column_blocks("last.weight", 4, [("0ex0e->0e", 0, 1, 3), ("1ox0e->1o", 1, -1, 2)], "readout", -2),
    ),
    {"mix.weight": (46,), "tp.weight": (18,), "last.weight": (4, 5)},
    200,
)
"""Layout of the stored adapters: a Linear, a product with elements, and a matrix of columns."""


def exact_network(dtype: torch.dtype) -> PathNetwork:
    """Network of `ADAPTER_LAYOUT` whose weights are multiples of 1/64, so that sums and products are exact."""
    model = PathNetwork(ADAPTER_LAYOUT, dtype, seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            places = torch.arange(parameter.numel(), dtype=torch.float64)
            parameter.copy_((((places * 37) % 101 - 50) / 64).view(parameter.shape))
    return model


def describe(adapter: Adapter) -> dict[str, object]:
    """Digests of the contents of an adapter and of its effect on `exact_network`, as plain values.

    Parameters
    ----------
    adapter : Adapter
        Adapter of `ADAPTER_LAYOUT`.
    """
    described: dict[str, object] = {
        "stored": {f"{name}/{part}": digest(v) for name, parts in adapter.stored.items() for part, v in parts.items()},
        "shifts": {str(z): shift for z, shift in adapter.shifts.items()},
        "elements": list(adapter.elements),
        "spins": {} if adapter.spins is None else _digests(adapter.spins.tensors),
    }
    if adapter.mergeable:
        model = exact_network(getattr(torch, adapter.dtype))
        return described | {"weights": _digests(adapter.weights(model))}
    return described | {"outputs": _outputs(adapter)}


def digest(tensor: Tensor) -> str:
    """SHA-256 over type, shape and bytes."""
    head = f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)} "
    return hashlib.sha256(head.encode() + tensor.detach().cpu().contiguous().numpy().tobytes()).hexdigest()


def _digests(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Digest of every tensor."""
    return {name: digest(tensor) for name, tensor in tensors.items()}


def _outputs(adapter: Adapter) -> list[float]:
    """Sum of each output of the network with gates; they are compared with a tolerance."""
    model = exact_network(getattr(torch, adapter.dtype))
    with torch.no_grad():
        for features in model.features:
            places = torch.arange(features.numel(), dtype=torch.float64)
            features.copy_((((places * 37) % 101 - 50) / 64).view(features.shape))
    with adapter.applied(model):
        return [float(output.detach().double().sum()) for output in model(model.features)]
