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

    def __call__(self, prediction: Prediction, targets: Targets, whole: Targets | None = None) -> Tensor:
        """Loss of one batch, shape (); with `whole`, the part that the frames of `targets` have in that of `whole`.

        Parameters
        ----------
        prediction : Prediction
        targets : Targets
            Of the same frames.
        whole : Targets, optional
            Of a larger batch that these frames belong to; the losses of its pieces add up to its loss.
        """
        n_atoms, whole = targets.n_atoms, whole or targets
        energy = self._huber(prediction.energy / n_atoms, targets.energy / n_atoms, whole.energy)
        forces = self._huber(prediction.forces, targets.forces, whole.forces)
        stress = self._huber(prediction.stress, targets.stress, whole.stress)
        return self.energy_weight * energy + self.force_weight * forces + self.stress_weight * stress

    def _huber(self, predicted: Tensor, target: Tensor, whole: Tensor) -> Tensor:
        """Mean Huber loss over the finite targets, or their part of the mean over those of `whole`; zero if none."""
        labelled = torch.isfinite(target)
        if not bool(labelled.any()):
            return predicted.sum() * 0.0
        mean = F.huber_loss(predicted[labelled], target[labelled], delta=self.huber_delta)
        return mean if len(target) == len(whole) else mean * (labelled.sum() / torch.isfinite(whole).sum())
