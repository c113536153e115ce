"""The loss: weighted Huber losses of energy per atom, forces and stress."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from equisparse.backbones.prediction import Prediction
from equisparse.training.dataset import Targets
from equisparse.training.errors import best_flip
from equisparse.training.options import TrainingOptions


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

    @classmethod
    def of(cls, options: TrainingOptions, *, spins: bool = False, flips: bool = False) -> "Loss":
        """With the weights of a run; `spins` says whether a spin layer is trained."""
        usual = options.force_weight if spins else 1.0
        return cls(
            usual if options.energy_weight is None else options.energy_weight,
            options.force_weight,
            options.stress_weight,
            options.huber_delta,
            options.moment_weight,
            options.magnetic_force_weight,
            flips,
        )

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
        loss = self.energy_weight * energy + self.force_weight * forces + self.stress_weight * stress
        return loss + self._magnetic(prediction, targets, whole)

    def _magnetic(self, prediction: Prediction, targets: Targets, whole: Targets) -> Tensor:
        """Part of moments and magnetic forces; zero for models that predict none."""
        loss = prediction.energy.new_zeros(())
        moments, labels, of_whole = prediction.moments, targets.moments, whole.moments
        if moments is not None and labels is not None and of_whole is not None:
            nearest = best_flip(moments, labels, targets.n_atoms) if self.flips else moments
            loss = loss + self.moment_weight * self._huber(nearest, labels, of_whole)
        slopes, labels, of_whole = prediction.magnetic_forces, targets.magnetic_forces, whole.magnetic_forces
        if slopes is not None and labels is not None and of_whole is not None:
            loss = loss + self.magnetic_force_weight * self._huber(slopes, labels, of_whole)
        return loss

    def _huber(self, predicted: Tensor, target: Tensor, whole: Tensor) -> Tensor:
        """Mean Huber loss over the finite targets, or their part of the mean over those of `whole`; zero if none."""
        labelled = torch.isfinite(target)
        if not bool(labelled.any()):
            return predicted.sum() * 0.0
        mean = F.huber_loss(predicted[labelled], target[labelled], delta=self.huber_delta)
        return mean if len(target) == len(whole) else mean * (labelled.sum() / torch.isfinite(whole).sum())
