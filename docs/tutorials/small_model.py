"""A small SevenNet model for the tutorials, with random weights: it needs no download and trains quickly."""

from pathlib import Path

import torch
from ase.data import chemical_symbols
from sevenn import _const as const
from sevenn import _keys as keys
from sevenn.model_build import build_E3_equivariant_model


def small_model(path: Path) -> Path:
    """Write the checkpoint of the model and return its path."""
    n_elements = 94
    config = const.DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG | {
        keys.NODE_FEATURE_MULTIPLICITY: 16,
        keys.LMAX: 2,
        keys.NUM_CONVOLUTION: 2,
        keys.CONVOLUTION_WEIGHT_NN_HIDDEN_NEURONS: [16],
        keys.CUTOFF: 4.0,
        keys.CONV_DENOMINATOR: [5.0, 5.0],
        keys.CHEMICAL_SPECIES_BY_ATOMIC_NUMBER: list(range(1, n_elements + 1)),
        keys.CHEMICAL_SPECIES: [chemical_symbols[z] for z in range(1, n_elements + 1)],
        keys.NUM_SPECIES: n_elements,
        keys.TYPE_MAP: {z: z - 1 for z in range(1, n_elements + 1)},
        keys.SELF_CONNECTION_TYPE: "linear",
        keys.USE_SPECIES_WISE_SHIFT_SCALE: True,
        keys.SHIFT: [-4.0] * n_elements,
        keys.SCALE: [100.0] * n_elements,
        keys.MODEL_TYPE: "E3_equivariant_model",
        "version": "0.12.0",
    }
    with torch.random.fork_rng():
        torch.manual_seed(3)  # its forces have the sign of the labels, as the audit demands
        model = build_E3_equivariant_model(config)
    torch.save({"model_state_dict": model.state_dict(), "config": config, "epoch": 1}, path)
    return path
