"""Self-check of an accelerated model: equal numbers of the plain and of the accelerated form."""

from collections.abc import Sequence

import torch
from ase import Atoms
from torch import Tensor

from equisparse.backbones.base import AbstractBackbone

TOLERANCE = 1e-10
"""Largest difference in float64, as a fraction of the largest value."""
SMALLEST = 0.01
"""Differences of smaller values (eV, Angstrom) count as a fraction of this: some forces are zero by symmetry."""
RATTLE = 0.05
"""Displacements of the atoms, Angstrom, so that few values are zero by symmetry."""


def equivalent(one: AbstractBackbone, other: AbstractBackbone, frames: Sequence[Atoms]) -> bool:
    """Return whether two models in float64 give equal energies, forces, stresses and gradients of all weights.

    Parameters
    ----------
    one, other : AbstractBackbone
    frames : sequence of Atoms
        Frames to compare on; copies of them are rattled.
    """
    rattled = [atoms.copy() for atoms in frames]
    for seed, atoms in enumerate(rattled):
        atoms.rattle(RATTLE, seed=seed)
    expected, actual = _values(one, rattled), _values(other, rattled)
    return expected.keys() == actual.keys() and all(
        float((value - actual[name]).abs().max()) <= TOLERANCE * max(float(value.abs().max()), SMALLEST)
        for name, value in expected.items()
    )


def _values(backbone: AbstractBackbone, frames: Sequence[Atoms]) -> dict[str, Tensor]:
    """Predictions, and the gradients of a scalar that depends on all of them, by name."""
    batch = backbone.collate([backbone.graph(atoms) for atoms in frames])
    prediction = backbone.predict(batch, training=True)
    loss = torch.stack([value.square().mean() for value in prediction.values()]).sum()
    parameters = {name: value for name, value in backbone.model.named_parameters() if value.requires_grad}
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    backbone.model.eval()
    return {quantity.name: value.detach() for quantity, value in prediction.items()} | {
        name: gradient for name, gradient in zip(parameters, gradients, strict=True) if gradient is not None
    }
