"""Small models of MACE, built from upstream's classes.

Upstream is imported where it is used: these fixtures are read where it is missing too. The modules of tests import it
before, as `upstream.quiet_import` allows.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from equisparse.backbones import upstream

NUMBERS = [8, 12, 13]
HEADS = ["PBE", "R2SCAN"]
INTERACTIONS = {
    "plain": ("RealAgnosticInteractionBlock", "RealAgnosticResidualInteractionBlock"),
    "density": ("RealAgnosticDensityInteractionBlock", "RealAgnosticDensityResidualInteractionBlock"),
    "nonlinear": ("RealAgnosticResidualNonLinearInteractionBlock",) * 2,
}
MODELS: dict[str, tuple[str, dict]] = {
    "scale-shift": ("plain", {}),
    "no-scale": ("plain", {"cls": "MACE"}),
    "heads": ("plain", {"heads": HEADS}),
    "density": ("density", {"pair_repulsion": True, "distance_transform": "Agnesi"}),
    "nonlinear": ("nonlinear", {"apply_cutoff": False, "heads": HEADS}),
}
"""Name -> interactions, and what differs from the default model."""


@pytest.fixture(scope="session")
def build() -> Callable[..., None]:
    """Function that writes a small untrained model from upstream's classes, as a ``.model`` file."""
    from e3nn import o3
    from mace import modules

    def write(path: Path, name: str, dtype: torch.dtype = torch.float64, **more: object) -> None:
        interactions, changes = MODELS[name]
        changes = changes | more
        cls, heads = getattr(modules, changes.pop("cls", "ScaleShiftMACE")), changes.get("heads")
        count = len(heads or [1])
        first, later = (modules.interaction_classes[kind] for kind in INTERACTIONS[interactions])
        scales = {"atomic_inter_scale": [1.2] * count, "atomic_inter_shift": [0.1] * count}
        with upstream.default_dtype(dtype), torch.random.fork_rng():
            torch.manual_seed(0)
            values = {
                "r_max": 4.0,
                "num_bessel": 6,
                "num_polynomial_cutoff": 5,
                "max_ell": 2,
                "interaction_cls_first": first,
                "interaction_cls": later,
                "num_interactions": 2,
                "num_elements": len(NUMBERS),
                "hidden_irreps": o3.Irreps("8x0e+8x1o"),
                "MLP_irreps": o3.Irreps("8x0e"),
                "gate": torch.nn.functional.silu,
                "atomic_energies": np.array([[-3.0, -1.0, -2.0]] * count),
                "avg_num_neighbors": 8,
                "atomic_numbers": NUMBERS,
                "correlation": 3,
                "radial_MLP": [16, 16],
                **(scales if cls is modules.ScaleShiftMACE else {}),
            }
            model = cls(**values | changes)
            torch.save(model, path)

    return write


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory, build: Callable[..., None]) -> Callable[..., Path]:
    """File of one of `MODELS`, in a precision."""
    folder = tmp_path_factory.mktemp("mace")

    def written(name: str, dtype: torch.dtype = torch.float64) -> Path:
        path = folder / f"{name}-{dtype}.model"
        if not path.exists():
            build(path, name, dtype)
        return path

    return written


@pytest.fixture(scope="session")
def head_of() -> Callable[[str], str | None]:
    """Function that gives the head that tests choose: not the first."""

    def head(name: str) -> str | None:
        return HEADS[1] if "heads" in MODELS[name][1] else None

    return head


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    """Each of `MODELS`."""
    return request.param


@pytest.fixture
def numbers() -> list[int]:
    """Atomic numbers of the elements of the models."""
    return NUMBERS


@pytest.fixture
def heads() -> list[str]:
    """Heads of the models that have several."""
    return HEADS
