"""Predictions for many frames; evaluation, audit, replay, probes and ensembles all use this loop."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from equisparse.backbones.base import Predictor
from equisparse.backbones.prediction import Prediction
from equisparse.data.frames import Floats, has_stress
from equisparse.inference.dataset import Batch, FrameDataset, collate
from equisparse.inference.errors import nearest_sign
from equisparse.inference.memory import BatchLimiter, in_pieces
from equisparse.inference.sample import Sample
from equisparse.quantities import STRESS, Quantity

BATCH_FRAMES = 10
"""Frames per batch of a data set."""
_BATCH_ATOMS = 256
"""Approximate number of atoms per batch of structures: enough to use a core well, and small in memory."""


def predict(backbone: Predictor, samples: Sequence[Sample], *, training: bool = False) -> tuple[Prediction, Batch]:
    """Predict some frames with the present weights.

    Returns
    -------
    prediction : Prediction
    batch : Batch
        The same frames with their labels; its graphs cannot be used again.
    """
    batch = collate(backbone, samples)
    return backbone.predict(batch.graphs, training=training), batch


def predict_batches(backbone: Predictor, batches: Iterable[Sequence[Sample]]) -> dict[Quantity, Floats]:
    r"""Predict batches with the present weights, in smaller pieces if they do not fit into memory.

    Parameters
    ----------
    backbone : Predictor
    batches : iterable of sequence of Sample
        One batch or more.

    Returns
    -------
    dict of Quantity to array, shape (n_frames, \...) or (n_all_atoms, \...)
        Predictions of all frames, concatenated, float64, in the unit of the quantity. Energies are totals with the
        base's own reference energies. The stress of a frame without one is NaN.
    """
    limiter = BatchLimiter()
    pieces: dict[Quantity, list[Tensor]] = {}
    for samples in batches:
        for prediction in in_pieces(samples, partial(_predicted, backbone), limiter):
            for quantity, values in prediction.items():
                pieces.setdefault(quantity, []).append(values)
    return {quantity: torch.cat(values).numpy() for quantity, values in pieces.items()}


def evaluate(backbone: Predictor, dataset: FrameDataset, batch_size: int = BATCH_FRAMES) -> dict[Quantity, Floats]:
    """Predict a data set with the present weights; see `predict_batches`.

    If the sign of the moments of a frame is arbitrary, it is the one that is closer to the labels.
    """
    predicted = predict_batches(backbone, dataset.batches(batch_size))
    if not backbone.sign_ambiguous:
        return predicted
    labels, n_atoms = dataset.labels(), torch.from_numpy(dataset.n_atoms)
    for quantity in predicted.keys() & labels.keys():
        if quantity.sign_ambiguous:
            values, label = torch.from_numpy(predicted[quantity]), torch.from_numpy(labels[quantity])
            predicted[quantity] = nearest_sign(quantity, values, label, n_atoms).numpy()
    return predicted


def predict_structures(backbone: Predictor, structures: Sequence[Atoms]) -> dict[Quantity, Floats]:
    """Predict structures without labels with the present weights; see `predict_batches`."""
    return predict_batches(backbone, _graphs(backbone, structures))


def _predicted(backbone: Predictor, samples: Sequence[Sample]) -> Prediction:
    """Predictions for one batch on the CPU, in float64."""
    prediction = backbone.predict(backbone.collate([sample.graph for sample in samples]))
    values = {quantity: tensor.double().cpu() for quantity, tensor in prediction.items()}
    if STRESS in values:
        values[STRESS] = values[STRESS].clone()
        values[STRESS][[not sample.has_stress for sample in samples]] = np.nan
    return values


def _graphs(backbone: Predictor, structures: Sequence[Atoms]) -> Iterator[list[Sample]]:
    """Batches of structures in order, of about `_BATCH_ATOMS` atoms; graphs are built when a batch is requested."""
    for batch in _of_similar_size(structures):
        yield [Sample(backbone.graph(atoms), {}, len(atoms), has_stress(atoms)) for atoms in batch]


def _of_similar_size(structures: Sequence[Atoms]) -> Iterator[list[Atoms]]:
    """Lists of structures in order, of about `_BATCH_ATOMS` atoms."""
    batch: list[Atoms] = []
    for atoms in structures:
        if batch and sum(map(len, batch)) + len(atoms) > _BATCH_ATOMS:
            yield batch
            batch = []
        batch.append(atoms)
    if batch:
        yield batch
