"""Self-check of an accelerated model: equal numbers of the plain and of the accelerated form."""

import math
from collections.abc import Mapping, Sequence

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
    return largest_difference(one, other, frames) <= TOLERANCE


def largest_difference(
    one: AbstractBackbone, other: AbstractBackbone, frames: Sequence[Atoms], *, gradients: bool = True
) -> float:
    """Largest difference between the numbers of two models, as a fraction of the largest value of the same kind.

    Parameters
    ----------
    one, other : AbstractBackbone
    frames : sequence of Atoms
        Frames to compare on; copies of them are rattled.
    gradients : bool
        Whether to compare the gradients of all weights, too, and not only energies, forces and stresses.

    Returns
    -------
    float
        Infinite if the models have other quantities or weights; NaN if a number is.
    """
    return difference(*(numbers(backbone, frames, gradients=gradients) for backbone in (one, other)))


def difference(expected: Mapping[str, Tensor], actual: Mapping[str, Tensor]) -> float:
    """Largest difference between the `numbers` of two models, as in `largest_difference`."""
    if expected.keys() != actual.keys():
        return math.inf
    differences = [
        (value - actual[name]).abs().max() / value.abs().max().clamp(min=SMALLEST) for name, value in expected.items()
    ]
    return float(torch.stack(differences).max())


def numbers(backbone: AbstractBackbone, frames: Sequence[Atoms], *, gradients: bool = True) -> dict[str, Tensor]:
    """Predictions, and the gradients of a scalar that depends on all of them, by name.

    Parameters
    ----------
    backbone, frames, gradients
        As in `largest_difference`.
    """
    rattled = [atoms.copy() for atoms in frames]
    for seed, atoms in enumerate(rattled):
        atoms.rattle(RATTLE, seed=seed)
    batch = backbone.collate([backbone.graph(atoms) for atoms in rattled])
    prediction = backbone.predict(batch, training=gradients)
    values = {quantity.name: value.detach() for quantity, value in prediction.items()}
    if not gradients:
        return values
    loss = torch.stack([value.square().mean() for value in prediction.values()]).sum()
    parameters = {name: value for name, value in backbone.model.named_parameters() if value.requires_grad}
    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    backbone.model.eval()
    return values | {name: gradient for name, gradient in zip(parameters, found, strict=True) if gradient is not None}
