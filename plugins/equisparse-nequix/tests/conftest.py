"""A small Nequix model with random weights, written to a file and read again."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from equisparse.backbones.registry import load_backbone
from equisparse.backbones.upstream import default_dtype
from equisparse.testing.backbones import rattled
from equisparse_nequix.architecture import architecture_of
from equisparse_nequix.backbone import NequixBackbone
from equisparse_nequix.files import write_model
from equisparse_nequix.model import NequixNetwork

torch.set_num_threads(1)

CONFIG = {
    "atomic_numbers": [1, 6, 8, 12, 13],
    "atom_energies": {"1": -1.0, "6": -8.0, "8": -4.5, "12": -1.5, "13": -3.0},
    "hidden_irreps": "8x0e + 4x1o + 2x2e",
    "lmax": 2,
    "cutoff": 4.0,
    "n_layers": 3,
    "radial_basis_size": 4,
    "radial_mlp_size": 8,
    "radial_mlp_layers": 1,
    "radial_polynomial_p": 6.0,
    "mlp_init_scale": 4.0,
    "index_weights": False,
    "layer_norm": True,
    "scale": 1.5,
    "shift": 0.25,
    "avg_n_neighbors": 12.0,
}


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Function that writes a small model; its arguments are changes of the configuration."""
    folder = tmp_path_factory.mktemp("nequix")

    def written(seed: int = 0, **changes: object) -> Path:
        config = CONFIG | changes
        path = folder / f"small-{len(list(folder.iterdir()))}.nqx"
        with torch.random.fork_rng(), default_dtype(torch.float64):
            torch.manual_seed(seed)
            network = NequixNetwork(architecture_of(config))
        network.atom_energies.copy_(torch.tensor(list(config["atom_energies"].values())))
        with torch.no_grad():
            for name, weight in network.named_parameters():
                if "affine_weight" in name:
                    weight.copy_(1 + 0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed)))
        write_model(path, config, network.state_dict(), network)
        return path

    return written


@pytest.fixture(scope="session")
def small(write: Callable[..., Path]) -> Path:
    """File of the small model."""
    return write()


@pytest.fixture(scope="session")
def backbone(small: Path) -> NequixBackbone:
    """The small model in float64; nothing is left attached to it."""
    loaded = load_backbone(small, dtype="float64")
    assert isinstance(loaded, NequixBackbone)
    return loaded


@pytest.fixture(scope="session")
def single(small: Path) -> NequixBackbone:
    """The small model in the precision of its file."""
    return NequixBackbone.load(str(small))


@pytest.fixture(scope="session")
def oxides() -> list[Atoms]:
    """Frames of magnesium, aluminium and oxygen without symmetry: small cell, larger cell, molecule."""
    wurtzite = bulk("MgO", "wurtzite", a=3.3, c=5.1)
    alloy = bulk("MgO", "rocksalt", a=4.2, cubic=True)
    alloy.numbers[0] = 13
    return [rattled(wurtzite, 0), rattled(alloy, 1), rattled(molecule("O3"), 2)]
