"""What a model says about a batch, and what is added to it."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Prediction:
    """What a model says about a batch.

    Parameters
    ----------
    energy : Tensor, shape (n_frames,), eV
        Total energies, with the base's own reference energies.
    forces : Tensor, shape (n_atoms, 3), eV/Angstrom
    stress : Tensor, shape (n_frames, 3, 3), eV/Angstrom^3
        Sign of ASE. Without meaning for frames that are not periodic.
    moments : Tensor, shape (n_atoms, 3), muB, or None
        Magnetic moments, of models that know spins.
    magnetic_forces : Tensor, shape (n_atoms, 3), eV/muB, or None
        Minus the derivative of the energy by the spins, of such models where asked for.
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor
    moments: Tensor | None = None
    magnetic_forces: Tensor | None = None

    def quantities(self) -> dict[str, Tensor]:
        """What the model gives, by name: nothing is there of what it does not know."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class FinalFeatures:
    """What a model knows of the atoms of a batch just before it reads out their energies.

    Parameters
    ----------
    scalars : Tensor, shape (n_atoms, n_scalars)
        Channels of the last layer that no rotation and no inversion changes.
    vectors : Tensor, shape (n_edges, 3), Angstrom
        From the first atom of an edge to the second; forces and stress are derivatives by them. Every edge is there in
        both directions.
    edges : Tensor, shape (2, n_edges), int64
    frames : Tensor, shape (n_atoms,), int64
        Number of the frame that an atom belongs to.
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
    """Energies on top of a model's own.

    Parameters
    ----------
    energy : Tensor, shape (n_frames,), eV
    turning : Tensor of bool, shape (n_frames,), or None
        Frames whose energy changes when their atoms alone are turned, against spins or a field: the virial of such a
        frame is not symmetric, and its stress is the symmetric part.
    """

    energy: Tensor
    turning: Tensor | None = None


EnergyTerm = Callable[[FinalFeatures], AddedEnergy]
"""What is added to a model's energies before forces and stress are taken from the sum."""
