"""Predictions of frames that several processes share out: whole batches, so the values are those of one process."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from equisparse.backbones.base import Predictor
from equisparse.data.frames import Floats
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.predict import BATCH_FRAMES, evaluate
from equisparse.quantities import Quantity
from equisparse.training.group import Group


def evaluate_shared(backbone: Predictor, dataset: FrameDataset, group: Group) -> dict[Quantity, Floats]:
    """Predict a data set on all processes of a group, every frame once; see `equisparse.inference.predict.evaluate`.

    Parameters
    ----------
    backbone : Predictor
    dataset : FrameDataset
        The same in all processes.
    group : Group

    Returns
    -------
    dict of Quantity to array
        Predictions of all frames in order, in every process.

    Raises
    ------
    StateError
        If another process ended.
    """
    if group.size == 1:
        return evaluate(backbone, dataset)
    frames = [index for index in range(len(dataset)) if group.owns(index // BATCH_FRAMES)]
    own = evaluate(backbone, dataset.part(frames)) if frames else {}
    return _in_order(group.gathered((frames, own)), dataset.n_atoms)


def _in_order(
    parts: Sequence[tuple[Sequence[int], Mapping[Quantity, Floats]]], n_atoms: NDArray[np.int64]
) -> dict[Quantity, Floats]:
    """Values of all frames in order, from the indices and the values of the frames of each process."""
    together: dict[Quantity, Floats] = {}
    firsts = np.cumsum(n_atoms) - n_atoms
    for frames, values in parts:
        atoms = _ranges(firsts[list(frames)], n_atoms[list(frames)])
        for quantity, array in values.items():
            places = atoms if quantity.per == "atom" else np.asarray(frames)
            total = int(n_atoms.sum()) if quantity.per == "atom" else len(n_atoms)
            whole = together.setdefault(quantity, np.empty((total, *array.shape[1:])))
            whole[places] = array
    return together


def _ranges(firsts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Consecutive numbers from each first one, shape (sum of the lengths,)."""
    starts = np.repeat(firsts - (np.cumsum(lengths) - lengths), lengths)
    return np.asarray(starts + np.arange(lengths.sum()))
