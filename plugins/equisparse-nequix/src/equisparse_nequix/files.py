"""Files of Nequix models (``.nqx``): a line of JSON, then the arrays of the model in the format of NumPy.

The arrays stand in the order in which JAX flattens nequix's model: reference energies, then the layers, then the
readout; in each layer, the paths of a Linear in the order of their names. Nothing in such a file is run.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from equisparse.errors import BackboneError
from equisparse.files import replacing
from equisparse_nequix.architecture import architecture_of
from equisparse_nequix.model import NequixNetwork

Config = Mapping[str, Any]
"""First line of a file."""

_LONGEST_LINE = 2**20
"""Characters of the longest first line that is read."""


@dataclass(frozen=True)
class Entry:
    """Place of one array of a file in the network.

    Parameters
    ----------
    tensor : str
        Name of a parameter or buffer.
    offset : int
        First element in the flattened tensor.
    shape : tuple of int
    """

    tensor: str
    offset: int
    shape: tuple[int, ...]

    def view(self, state: Mapping[str, Tensor]) -> Tensor:
        """View of the values in a state."""
        return state[self.tensor].reshape(-1)[self.offset : self.offset + math.prod(self.shape)].view(self.shape)


def read_model(path: Path) -> tuple[Config, NequixNetwork]:
    """Read a file: its configuration, and the network with its weights, in the default precision of torch.

    Files of some published models hold their configuration once more after the arrays; as nequix does, it is ignored.

    Raises
    ------
    BackboneError
        If the model is not supported, or an array has another shape or type than the configuration says.
    """
    with path.open("rb") as file:
        config: Config = json.loads(file.readline(_LONGEST_LINE))
        network = NequixNetwork(architecture_of(config))
        state = network.state_dict()
        for entry in entries(network):
            entry.view(state).copy_(torch.from_numpy(_array(file, entry)))
    return config, network


def write_model(path: Path, config: Config, state: Mapping[str, Tensor], network: NequixNetwork) -> None:
    """Write a file that nequix reads; it is replaced in one step.

    Parameters
    ----------
    path : Path
    config : mapping
        As `read_model` gave it; its reference energies become those of the state.
    state : mapping of str to Tensor
        Values of all parameters, and the reference energies.
    network : NequixNetwork
        For the order of the arrays.
    """
    energies = state["atom_energies"].double().tolist()
    numbers = sorted(config["atomic_numbers"])
    table = {str(z): energy for z, energy in zip(numbers, energies, strict=True)}
    with replacing(path) as file:
        file.write((json.dumps({**config, "atom_energies": table}) + "\n").encode())
        for entry in entries(network):
            np.save(file, entry.view(state).detach().cpu().float().numpy())


def entries(network: NequixNetwork) -> Iterator[Entry]:
    """Arrays of a file in their order."""
    yield Entry("atom_energies", 0, tuple(network.atom_energies.shape))
    for index, layer in enumerate(network.layers):
        prefix = f"layers.{index}"
        yield from _whole(f"{prefix}.radial_mlp", layer.get_submodule("radial_mlp"))
        for name in ("linear_1", "linear_2", "skip"):
            yield from _paths(f"{prefix}.{name}", layer.get_submodule(name))
        if layer.layer_norm is not None:
            yield from _whole(f"{prefix}.layer_norm", layer.get_submodule("layer_norm"))
    yield from _paths("readout", network.readout)


def _whole(name: str, module: nn.Module) -> Iterator[Entry]:
    """Arrays that are whole parameters of a module."""
    for key, parameter in module.named_parameters():
        yield Entry(f"{name}.{key}", 0, tuple(parameter.shape))


def _paths(name: str, linear: Any) -> Iterator[Entry]:
    """Arrays of the paths of an e3nn Linear: sorted as texts, so that path 10 comes before path 2."""
    offset, found = 0, {}
    for path in linear.instructions:
        found[f"{path.i_in},{path.i_out}]"] = Entry(f"{name}.weight", offset, tuple(path.path_shape))
        offset += math.prod(path.path_shape)
    for key in sorted(found):
        yield found[key]


def _array(file: IO[bytes], entry: Entry) -> NDArray[np.float32]:
    """Next array of a file."""
    array: NDArray[np.float32] = np.load(file, allow_pickle=False)
    if array.shape != entry.shape or array.dtype != np.float32:
        raise BackboneError(
            "An array of the file does not fit the model that its first line describes.",
            given=f"{array.dtype} {array.shape} for {entry.tensor}",
            expected=f"float32 {entry.shape}",
            cause="a damaged file, or another version of nequix",
        )
    return array
