"""Random combinations of a model's predictions, whose gradients give the curvature of the loss."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from equisparse.backbones.prediction import Prediction
from equisparse.inference.dataset import Batch, FrameDataset
from equisparse.inference.errors import per_value
from equisparse.inference.sample import Sample
from equisparse.quantities import Quantity
from equisparse.training.loss import Loss

_FEWEST, _MOST, _STEPS_PER_PROBE = 4, 80, 12


def probe_batches(dataset: FrameDataset, size: int, total_steps: int, seed: tuple[int, ...]) -> Iterator[list[Sample]]:
    """Random batches for one probe each: 80, or one for every 12 steps of a short run.

    Parameters
    ----------
    dataset : FrameDataset
    size : int
        Frames per batch.
    total_steps : int
        Steps of the run.
    seed : tuple of int
    """
    generator = np.random.default_rng(seed)
    for _ in range(min(_MOST, max(_FEWEST, total_steps // _STEPS_PER_PROBE))):
        chosen = generator.choice(len(dataset), min(size, len(dataset)), replace=False)
        yield [dataset[int(index)] for index in chosen]


def random_combination(
    prediction: Prediction,
    batch: Batch,
    loss: Loss,
    generator: torch.Generator,
    whole: Mapping[Quantity, int] | None = None,
) -> Tensor:
    """Sum ``sum_q sqrt(w_q / n_q) sum_i r_i y_i`` over the n_q labelled components y_i of all quantities q, shape ().

    The r are random normal numbers and w_q the weights of the loss. The expected outer product of the gradient of this
    sum is the Gauss-Newton matrix of the loss with squared errors. If the frames are a piece of a batch, `whole` has
    the n_q of the batch.
    """
    terms = [next(iter(prediction.values())).sum() * 0.0]  # a batch may have no label at all
    for quantity, weight in loss.weights.items():
        if not weight or quantity not in prediction or quantity not in batch.labels:
            continue
        labelled = torch.isfinite(batch.labels[quantity])
        values = prediction[quantity]
        if quantity.extensive:
            values = values / per_value(batch.n_atoms, values)
        noise = torch.randn(values.shape, generator=generator, dtype=torch.float64).to(values)
        count = int(labelled.sum()) if whole is None else whole.get(quantity, 0)
        scale = math.sqrt(weight / max(1, count))
        terms.append(scale * (noise * values)[labelled].sum())
    return torch.stack(terms).sum()
