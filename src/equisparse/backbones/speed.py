"""Whether two forms of one model give the same numbers."""

from collections.abc import Sequence

import torch
from ase import Atoms
from torch import Tensor

from equisparse.backbones.base import AbstractBackbone

TOLERANCE = 1e-10
"""Largest difference in float64, as a fraction of the largest value."""
SMALLEST = 0.01
"""Largest value (eV, Angstrom) below which the difference is a fraction of this: some forces are zero by symmetry."""
SHAKEN = 0.05
"""Displacements of the atoms, Angstrom, so that symmetry hides as little as possible."""


def agree(one: AbstractBackbone, other: AbstractBackbone, frames: Sequence[Atoms]) -> bool:
    """Whether two forms of a model in float64 give equal energies, forces, stresses and gradients of all weights."""
    shaken = [atoms.copy() for atoms in frames]
    for seed, atoms in enumerate(shaken):
        atoms.rattle(SHAKEN, seed=seed)
    values = [_values(backbone, shaken) for backbone in (one, other)]
    return values[0].keys() == values[1].keys() and all(
        float((value - values[1][name]).abs().max()) <= TOLERANCE * max(float(value.abs().max()), SMALLEST)
        for name, value in values[0].items()
    )


def _values(backbone: AbstractBackbone, frames: Sequence[Atoms]) -> dict[str, Tensor]:
    """Predictions, and the gradients of a sum in which each of them counts."""
    batch = backbone.collate([backbone.graph(atoms) for atoms in frames])
    prediction = backbone.predict(batch, training=True)
    loss = torch.stack([value.square().mean() for value in prediction.values()]).sum()
    named = {name: value for name, value in backbone.model.named_parameters() if value.requires_grad}
    gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    backbone.model.eval()
    return {quantity.name: value.detach() for quantity, value in prediction.items()} | {
        name: gradient for name, gradient in zip(named, gradients, strict=True) if gradient is not None
    }
