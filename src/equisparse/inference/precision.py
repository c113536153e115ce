"""Coarser matrix products of a GPU: switched on for a training, and their price in the predictions."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from equisparse.backbones.base import Predictor
from equisparse.data.frames import Floats
from equisparse.errors import InputError
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.predict import evaluate
from equisparse.quantities import Quantity, find_quantity

FULL, TF32 = "full", "tf32"
"""Precisions of matrix products: that of the model, or TF32, which has 10 bits after the binary point."""

_CAPABILITY = (8, 0)
_FRAMES = 20


@dataclass(frozen=True)
class PrecisionPrice:
    """Largest differences between the predictions of one model with coarser and with full matrix products.

    Parameters
    ----------
    precision : str
    n_frames : int
        Frames compared.
    largest : mapping of str to float
        Name of a quantity -> largest difference, in the unit of the quantity; per atom if it is extensive.
    """

    precision: str
    n_frames: int
    largest: Mapping[str, float]

    def __str__(self) -> str:
        """Return one line of text."""
        parts = [_shown(find_quantity(name), difference) for name, difference in self.largest.items()]
        return (
            f"trained with {self.precision}; against full precision on {self.n_frames} frames, largest differences of "
            f"the final model: {', '.join(parts)}. All errors and the merged file are of full precision"
        )


def check_precision(precision: str, device: torch.device, dtype: torch.dtype) -> None:
    """Check that a precision has an effect on a device.

    Raises
    ------
    InputError
        If coarser matrix products are asked for where there are none.
    """
    if precision == FULL:
        return
    reason = _without_tf32(device, dtype)
    if reason:
        raise InputError(
            f"--precision {precision} has no effect here.",
            given=reason,
            expected="a GPU of compute capability 8.0 (A100) or later, and --dtype float32",
            next_step="omit --precision, or choose the GPU with --device cuda",
        )


@contextmanager
def matrix_products(precision: str) -> Iterator[None]:
    """Multiply matrices with a precision within the block.

    TF32 rounds the factors of products of float32 matrices to 10 bits after the binary point; sums, and everything
    that is no product of matrices, stay in float32.
    """
    before = torch.get_float32_matmul_precision()
    if precision == TF32:
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def precision_price(backbone: Predictor, dataset: FrameDataset, precision: str) -> PrecisionPrice | None:
    """Price of a precision on the first frames of a data set; None for full precision.

    Parameters
    ----------
    backbone : Predictor
        With its change applied.
    dataset : FrameDataset
    precision : str
    """
    if precision == FULL:
        return None
    part = dataset.part(range(min(_FRAMES, len(dataset))))
    full = evaluate(backbone, part)
    with matrix_products(precision):
        coarse = evaluate(backbone, part)
    sizes = part.n_atoms.astype(np.float64)
    largest = {quantity.name: _largest(quantity, coarse[quantity] - full[quantity], sizes) for quantity in full}
    return PrecisionPrice(precision, len(part), largest)


def _without_tf32(device: torch.device, dtype: torch.dtype) -> str:
    """Why there is no TF32; empty if there is."""
    if device.type != "cuda":
        return f"the device {device.type}"
    if dtype != torch.float32:
        return str(dtype).removeprefix("torch.")
    capability = torch.cuda.get_device_capability(device)
    return "" if capability >= _CAPABILITY else f"a GPU of compute capability {capability[0]}.{capability[1]}"


def _largest(quantity: Quantity, difference: Floats, n_atoms: Floats) -> float:
    """Largest absolute difference, per atom if the quantity is extensive; NaN if any prediction is not a number."""
    return float(np.abs(difference / n_atoms if quantity.extensive else difference).max(initial=0.0))


def _shown(quantity: Quantity, difference: float) -> str:
    """Difference in the unit of the first error of a quantity."""
    return f"{quantity.title} {quantity.mae.factor * difference:.2g} {quantity.mae.unit}"
