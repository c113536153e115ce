"""The loss: weighted Huber losses of energy per atom, forces and stress."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from equisparse.backbones.base import Prediction
from equisparse.training.dataset import Targets


@dataclass(frozen=True)
class Loss:
    """``w_E H(dE/n) + w_F H(dF) + w_S H(dS)``, H the Huber loss, each averaged over the labels that are there.

    Parameters
    ----------
    energy_weight, force_weight, stress_weight : float
    huber_delta : float
        In eV/atom, eV/Angstrom and eV/Angstrom^3 alike.
    """

    energy_weight: float
    force_weight: float
    stress_weight: float
    huber_delta: float

    def __call__(self, prediction: Prediction, targets: Targets) -> Tensor:
        """Loss of one batch, shape ()."""
        n_atoms = targets.n_atoms
        energy = self._huber(prediction.energy / n_atoms, targets.energy / n_atoms)
        forces = self._huber(prediction.forces, targets.forces)
        stress = self._huber(prediction.stress, targets.stress)
        return self.energy_weight * energy + self.force_weight * forces + self.stress_weight * stress

    def _huber(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Mean Huber loss over the finite targets; zero if there is none."""
        labelled = torch.isfinite(target)
        if not bool(labelled.any()):
            return predicted.sum() * 0.0
        return F.huber_loss(predicted[labelled], target[labelled], delta=self.huber_delta)
