"""Small models as a user of SevenNet would bring them.

Upstream is imported where it is used: this file is read where it is missing too.
"""

import copy
from pathlib import Path

import pytest
import torch

OWN_MODELS = ("linear", "nequip", "no-parity", "one-reference")


@pytest.fixture(scope="session", params=OWN_MODELS)
def own_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint file of a small model of the user's own, in upstream's format."""
    from sevenn import _const as const
    from sevenn import _keys as keys
    from sevenn.model_build import build_E3_equivariant_model

    differences = {
        "linear": {keys.SELF_CONNECTION_TYPE: "linear"},
        "nequip": {keys.SELF_CONNECTION_TYPE: "nequip"},
        "no-parity": {keys.SELF_CONNECTION_TYPE: "nequip", keys.IS_PARITY: False},
        "one-reference": {keys.SELF_CONNECTION_TYPE: "linear", keys.SHIFT: -4.0, keys.SCALE: 2.0},
    }
    path = tmp_path_factory.mktemp("own") / f"{request.param}.pth"
    config = copy.deepcopy(const.DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG) | {
        keys.NODE_FEATURE_MULTIPLICITY: 4,
        keys.LMAX: 2,
        keys.NUM_CONVOLUTION: 2,
        keys.CONVOLUTION_WEIGHT_NN_HIDDEN_NEURONS: [8],
        keys.CUTOFF: 4.0,
        keys.CONV_DENOMINATOR: [3.0, 3.0],
        keys.CHEMICAL_SPECIES: ["Al", "Mg", "O"],
        keys.CHEMICAL_SPECIES_BY_ATOMIC_NUMBER: [13, 12, 8],
        keys.NUM_SPECIES: 3,
        keys.TYPE_MAP: {13: 0, 12: 1, 8: 2},
        keys.USE_SPECIES_WISE_SHIFT_SCALE: True,
        keys.SHIFT: [-3.0, -1.5, -4.5],
        keys.SCALE: [1.5, 1.6, 1.7],
        keys.MODEL_TYPE: "E3_equivariant_model",
        "version": "0.12.0",
        **differences[request.param],
    }
    if isinstance(config[keys.SHIFT], float):
        config[keys.USE_SPECIES_WISE_SHIFT_SCALE] = False
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_E3_equivariant_model(config)
    torch.save({"model_state_dict": model.state_dict(), "config": config, "epoch": 1}, path)
    return path
