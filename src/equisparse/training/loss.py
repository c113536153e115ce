"""The loss: a weighted sum of Huber losses, one for each quantity."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from equisparse.backbones.prediction import Prediction
from equisparse.inference.dataset import Batch
from equisparse.inference.errors import nearest_sign, per_value
from equisparse.quantities import Quantity, all_quantities
from equisparse.training.options import TrainingOptions


@dataclass(frozen=True)
class Loss:
    """Weighted sum ``sum_q w_q H(d_q)`` of the Huber losses H of the errors d_q of all quantities q.

    H is averaged over the components with a label; the H of each frame is first multiplied by the weight that the
    frame stores. Errors are in the unit of the quantity, per atom if it is extensive. A quantity without any label
    contributes zero.

    Parameters
    ----------
    weights : mapping of Quantity to float
        Weights, in the order in which the terms are added; other quantities are ignored.
    huber_delta : float
        Error, in the unit of each quantity, above which the loss grows linearly.
    sign_ambiguous : bool
        Whether the common sign of all values of a frame is arbitrary; see `equisparse.inference.errors.nearest_sign`.
    """

    weights: Mapping[Quantity, float]
    huber_delta: float
    sign_ambiguous: bool = False

    @classmethod
    def of(cls, options: TrainingOptions, *, spins: bool = False, sign_ambiguous: bool = False) -> "Loss":
        """Loss with the weights of the options; `spins` says whether a spin layer is trained."""
        weights = {quantity: options.loss_weight(quantity, spins=spins) for quantity in all_quantities()}
        return cls(weights, options.huber_delta, sign_ambiguous)

    def __call__(self, prediction: Prediction, batch: Batch, whole: Mapping[Quantity, int] | None = None) -> Tensor:
        """Loss of some frames, shape ().

        Parameters
        ----------
        prediction : Prediction
        batch : Batch
            Labels of the same frames.
        whole : mapping of Quantity to int, optional
            Numbers of label components, from `equisparse.inference.dataset.count_labels`, of the whole batch if these
            frames are a piece of it. The losses of all pieces then add up to the loss of the batch.
        """
        terms = (
            weight * self._huber(quantity, prediction[quantity], batch, whole)
            for quantity, weight in self.weights.items()
            if quantity in prediction
        )
        return functools.reduce(torch.add, terms)

    def _huber(
        self, quantity: Quantity, predicted: Tensor, batch: Batch, whole: Mapping[Quantity, int] | None
    ) -> Tensor:
        """Mean Huber loss over the components with a label, or their share of the mean over `whole`; 0 if none."""
        target = batch.labels.get(quantity)
        labelled = None if target is None else torch.isfinite(target)
        if target is None or labelled is None or not bool(labelled.any()):
            return predicted.sum() * 0.0
        if quantity.sign_ambiguous and self.sign_ambiguous:
            predicted = nearest_sign(quantity, predicted, target, batch.n_atoms)
        if quantity.extensive:
            n_atoms = per_value(batch.n_atoms, predicted)
            predicted, target = predicted / n_atoms, target / n_atoms
        if quantity in batch.weights:
            losses = F.huber_loss(predicted[labelled], target[labelled], reduction="none", delta=self.huber_delta)
            mean = (losses * _component_weights(quantity, target, batch)[labelled]).mean()
        else:
            mean = F.huber_loss(predicted[labelled], target[labelled], delta=self.huber_delta)
        return mean if whole is None else mean * (labelled.sum() / whole[quantity])


def _component_weights(quantity: Quantity, target: Tensor, batch: Batch) -> Tensor:
    """Weight of each component of the labels of a batch, in the shape of the labels."""
    weights = batch.weights[quantity]
    if quantity.per == "atom":
        weights = weights.repeat_interleave(batch.n_atoms)
    return per_value(weights, target).expand_as(target)
