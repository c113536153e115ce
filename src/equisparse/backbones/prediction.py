"""Predictions for a batch, final features of a model, and energies added to those of the model."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from equisparse.quantities import Quantity

Prediction = dict[Quantity, Tensor]
"""Predictions for a batch, by quantity: shape (n_frames, ...) or (n_atoms, ...), in the unit of the quantity.

Energies are totals with the base's own reference energies. The stress of a frame without one, see
`equisparse.data.frames.has_stress`, has no meaning. Quantities that a model does not predict are absent.
"""


@dataclass(frozen=True)
class FinalFeatures:
    """Features of the atoms of a batch in the last layer, from which a model computes energies.

    Parameters
    ----------
    scalars : Tensor, shape (n_atoms, n_scalars)
        Channels of the last layer that are invariant under rotations and inversion.
    vectors : Tensor, shape (n_edges, 3), Angstrom
        Vectors from the first atom of an edge to the second; forces and stress are derivatives by them. Every edge is
        listed in both directions.
    edges : Tensor, shape (2, n_edges), int64
        Indices of the two atoms of each edge.
    frames : Tensor, shape (n_atoms,), int64
        Index of the frame that an atom belongs to.
    numbers : Tensor, shape (n_atoms,), int64
        Atomic numbers.
    n_frames : int
    """

    scalars: Tensor
    vectors: Tensor
    edges: Tensor
    frames: Tensor
    numbers: Tensor
    n_frames: int


@dataclass(frozen=True)
class AddedEnergy:
    """Energies that are added to those of a model.

    Parameters
    ----------
    energy : Tensor, shape (n_frames,), eV
    asymmetric_virial : Tensor of bool, shape (n_frames,), or None
        Frames whose energy changes when their atoms are rotated without spins or fields: the virial of such a frame is
        not symmetric, and its stress is the symmetric part.
    """

    energy: Tensor
    asymmetric_virial: Tensor | None = None


EnergyTerm = Callable[[FinalFeatures], AddedEnergy]
"""What is added to a model's energies before forces and stress are taken from the sum."""
