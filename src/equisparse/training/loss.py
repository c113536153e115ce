"""The loss: weighted Huber losses of energy per atom, forces and stress."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from equisparse.backbones.base import Prediction
from equisparse.training.dataset import Targets
from equisparse.training.errors import best_flip


@dataclass(frozen=True)
class Loss:
    """``w_E H(dE/n) + w_F H(dF) + w_S H(dS)``, H the Huber loss, each averaged over the labels that are there.

    Models that know spins get ``w_m H(dm) + w_h H(dh)`` of moments and magnetic forces on top.

    Parameters
    ----------
    energy_weight, force_weight, stress_weight : float
    huber_delta : float
        In eV/atom, eV/Angstrom, eV/Angstrom^3, muB and eV/muB alike.
    moment_weight, magnetic_force_weight : float
    flips : bool
        Whether moments with all signs turned round within a frame are as good.
    """

    energy_weight: float
    force_weight: float
    stress_weight: float
    huber_delta: float
    moment_weight: float = 1.0
    magnetic_force_weight: float = 1.0
    flips: bool = False

    def __call__(self, prediction: Prediction, targets: Targets) -> Tensor:
        """Loss of one batch, shape ()."""
        n_atoms = targets.n_atoms
        energy = self._huber(prediction.energy / n_atoms, targets.energy / n_atoms)
        forces = self._huber(prediction.forces, targets.forces)
        stress = self._huber(prediction.stress, targets.stress)
        loss = self.energy_weight * energy + self.force_weight * forces + self.stress_weight * stress
        return loss + self._magnetic(prediction, targets)

    def _magnetic(self, prediction: Prediction, targets: Targets) -> Tensor:
        """Part of moments and magnetic forces; zero for models that predict none."""
        loss = prediction.energy.new_zeros(())
        moments, labels = prediction.moments, targets.moments
        if moments is not None and labels is not None:
            nearest = best_flip(moments, labels, targets.n_atoms) if self.flips else moments
            loss = loss + self.moment_weight * self._huber(nearest, labels)
        if prediction.magnetic_forces is not None and targets.magnetic_forces is not None:
            slopes = self._huber(prediction.magnetic_forces, targets.magnetic_forces)
            loss = loss + self.magnetic_force_weight * slopes
        return loss

    def _huber(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Mean Huber loss over the finite targets; zero if there is none."""
        labelled = torch.isfinite(target)
        if not bool(labelled.any()):
            return predicted.sum() * 0.0
        return F.huber_loss(predicted[labelled], target[labelled], delta=self.huber_delta)
