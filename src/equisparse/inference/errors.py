"""Errors over many batches, as sums that can be added over processes."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from equisparse.data.frames import Floats
from equisparse.inference.dataset import FrameDataset
from equisparse.quantities import Quantity, ShownError, all_quantities

Metrics = dict[str, float | None]
"""Name of a shown error -> value; None without labels or predictions."""


class ErrorSums:
    """Sums of absolute and squared errors and their counts, by quantity.

    Attributes
    ----------
    sums : Tensor, shape (n_quantities, 3), float64
        One row per quantity, in the order of `equisparse.quantities.all_quantities`, in its own unit, per atom if it is
        extensive. Columns: sum of absolute errors, sum of squared errors, count.

    Parameters
    ----------
    sign_ambiguous : bool
        Whether the common sign of all values of a frame is arbitrary; see `nearest_sign`.
    """

    def __init__(self, *, sign_ambiguous: bool = False) -> None:
        self._quantities, self._sign_ambiguous = all_quantities(), sign_ambiguous
        self.sums = torch.zeros((len(self._quantities), 3), dtype=torch.float64)

    def update(self, prediction: Mapping[Quantity, Tensor], labels: Mapping[Quantity, Tensor], n_atoms: Tensor) -> None:
        """Add the errors of one batch; labels that are NaN are ignored."""
        rows = []
        for quantity in self._quantities:
            if quantity in prediction and quantity in labels:
                predicted = prediction[quantity].detach()
                rows.append(_row(self._difference(quantity, predicted, labels[quantity], n_atoms)))
            else:
                rows.append(torch.zeros(3, dtype=torch.float64))
        self.sums += torch.stack(rows)

    def metrics(self) -> Metrics:
        """Values of all shown errors."""
        return {
            error.name: _shown(error, self.sums[index].tolist())
            for index, quantity in enumerate(self._quantities)
            for error in quantity.errors
        }

    def _difference(self, quantity: Quantity, predicted: Tensor, labels: Tensor, n_atoms: Tensor) -> Tensor:
        """Errors of one batch: per atom, per component, or per vector."""
        if quantity.sign_ambiguous and self._sign_ambiguous:
            predicted = nearest_sign(quantity, predicted, labels, n_atoms)
        difference = predicted - labels
        if quantity.extensive:
            difference = difference / per_value(n_atoms, difference)
        if quantity.measured_by == "length":
            lengths: Tensor = torch.linalg.vector_norm(difference.flatten(1), dim=1)
            return lengths
        return difference


def errors_of(predicted: Mapping[Quantity, Floats], dataset: FrameDataset) -> Metrics:
    """Errors of predictions against the labels of a data set, whose shifts are subtracted from the energies.

    Parameters
    ----------
    predicted : mapping of Quantity to array
        Result of `equisparse.inference.predict.evaluate`.
    dataset : FrameDataset
    """
    sums = ErrorSums()
    tensors = {quantity: torch.from_numpy(values) for quantity, values in predicted.items()}
    labels = {quantity: torch.from_numpy(values) for quantity, values in dataset.labels().items()}
    sums.update(tensors, labels, torch.from_numpy(dataset.n_atoms))
    return sums.metrics()


def nearest_sign(quantity: Quantity, values: Tensor, target: Tensor, n_atoms: Tensor) -> Tensor:
    r"""Change the sign of all values of a frame if that brings them closer to the target.

    Time reversal changes the sign of all moments and does not change the energy. Which of the two states a calculation
    reaches is arbitrary if only the relative order of the spins is specified.

    Parameters
    ----------
    quantity : Quantity
    values, target : Tensor, shape (n_frames, \...) or (n_all_atoms, \...)
        NaN in `target` is ignored.
    n_atoms : Tensor, shape (n_frames,)
    """
    along = torch.nan_to_num(values.detach() * target).reshape(len(values), -1).sum(1)
    counts = n_atoms if quantity.per == "atom" else torch.ones_like(n_atoms)
    frames = torch.arange(len(n_atoms), device=n_atoms.device).repeat_interleave(counts)
    total = along.new_zeros(len(n_atoms)).index_add(0, frames, along)
    signs = torch.where(total < 0, -1.0, 1.0).to(values.dtype)
    return per_value(signs[frames], values) * values


def per_value(numbers: Tensor, values: Tensor) -> Tensor:
    """Reshape one number per frame or atom so that it broadcasts over the components of `values`."""
    return numbers.reshape(-1, *(1 for _ in values.shape[1:]))


def _row(difference: Tensor) -> Tensor:
    """Absolute sum, squared sum and count of the finite entries."""
    values = difference[torch.isfinite(difference)].to(device="cpu", dtype=torch.float64)
    return torch.stack(
        [values.abs().sum(), values.square().sum(), torch.tensor(float(values.numel()), dtype=torch.float64)]
    )


def _shown(error: ShownError, row: list[float]) -> float | None:
    """Value of an error in its shown unit, from the sums; None if the count is zero."""
    absolute, squared, count = row
    if not count:
        return None
    return (absolute / count if error.kind == "mae" else math.sqrt(squared / count)) * error.factor
