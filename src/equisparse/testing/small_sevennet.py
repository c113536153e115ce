"""A small SevenNet model with random weights, for tests, tutorials and measurements that need no published model."""

from collections.abc import Sequence
from pathlib import Path

import torch
from ase.data import chemical_symbols
from sevenn import _const as const
from sevenn import _keys as keys
from sevenn.model_build import build_E3_equivariant_model

ELEMENTS = range(1, 95)
"""Atomic numbers that the model knows unless others are given."""

SEED = 3
"""With these weights, the forces have the sign of those of the frames in `demo`, which the audit checks."""


def write_small_sevennet(
    path: Path, elements: Sequence[int] = ELEMENTS, *, shift: float = -4.0, scale: float = 100.0, seed: int = SEED
) -> Path:
    """Write the checkpoint of a small SevenNet model with random weights.

    It has two layers of 16 channels, a largest degree of 2 and a cutoff of 4 Angstrom. A fine-tune of it takes a fifth
    of the time of one of 7net-0. The generator of random numbers of torch keeps its state.

    Parameters
    ----------
    path : Path
        Checkpoint file to write.
    elements : sequence of int
        Atomic numbers, rising.
    shift, scale : float
        Energy of every atom and factor of its interaction energy, eV.
    seed : int
        Seed of the weights.

    Returns
    -------
    Path
        `path`.
    """
    config = _config(elements, shift, scale)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_E3_equivariant_model(config)
    torch.save({"model_state_dict": model.state_dict(), "config": config, "epoch": 1}, path)
    return path


def _config(elements: Sequence[int], shift: float, scale: float) -> dict[str, object]:
    """Configuration in SevenNet's form."""
    config: dict[str, object] = const.DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG | {
        keys.NODE_FEATURE_MULTIPLICITY: 16,
        keys.LMAX: 2,
        keys.NUM_CONVOLUTION: 2,
        keys.CONVOLUTION_WEIGHT_NN_HIDDEN_NEURONS: [16],
        keys.CUTOFF: 4.0,
        keys.CONV_DENOMINATOR: [5.0, 5.0],
        keys.CHEMICAL_SPECIES_BY_ATOMIC_NUMBER: list(elements),
        keys.CHEMICAL_SPECIES: [chemical_symbols[z] for z in elements],
        keys.NUM_SPECIES: len(elements),
        keys.TYPE_MAP: {z: index for index, z in enumerate(elements)},
        keys.SELF_CONNECTION_TYPE: "linear",
        keys.USE_SPECIES_WISE_SHIFT_SCALE: True,
        keys.SHIFT: [shift] * len(elements),
        keys.SCALE: [scale] * len(elements),
        keys.MODEL_TYPE: "E3_equivariant_model",
        "version": "0.12.0",
    }
    return config
