"""Pseudo-label replay: structures on which a fine-tune preserves the predictions of the base model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equisparse.backbones.base import Predictor
from equisparse.data.frames import LabelledFrame
from equisparse.data.split import split_off
from equisparse.errors import DataError
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.predict import evaluate
from equisparse.inference.sample import Sample
from equisparse.wording import counted

_HELD_FRACTION, _HELD_FRAMES = 0.2, 20
"""Largest fraction, and approximate number, of the structures that are held out."""


@dataclass(frozen=True)
class Replay:
    """Structures with the base's predictions as labels, in the base's own reference energies.

    Parameters
    ----------
    learned : FrameDataset
        Structures that are trained on, together with the training frames.
    held : FrameDataset
        Held-out structures: the drift on them is reported and enters the choice of the best epoch.
    seed : int
        Seed of the order.
    """

    learned: FrameDataset
    held: FrameDataset
    seed: int

    def batch(self, size: int, index: int) -> list[Sample]:
        """Batch `index`, from 0, of an endless sequence; every structure occurs once before any is repeated.

        It depends only on the arguments and the seed, so a resumed run continues with the same batches.
        """
        first = index * size
        return [self.learned[self._structure_at(position)] for position in range(first, first + size)]

    def _structure_at(self, position: int) -> int:
        """Index of the structure at a position of the sequence."""
        repetition, place = divmod(position, len(self.learned))
        return int(np.random.default_rng((self.seed, repetition)).permutation(len(self.learned))[place])


def replay_of(backbone: Predictor, frames: Sequence[LabelledFrame], *, seed: int) -> Replay:
    """Replay of structures, labelled by the present weights of `backbone`; their own labels are ignored.

    Parameters
    ----------
    backbone : Predictor
        Base model, with nothing attached.
    frames : sequence of LabelledFrame
        At least two structures.
    seed : int
        Seed of the choice of the held-out structures, and of the order.

    Raises
    ------
    DataError
        If there are too few structures, or all are near duplicates of one another.
    """
    if len(frames) < 2:
        raise DataError(
            "There are too few replay structures: some are trained on, and at least one is held out.",
            given=counted(len(frames), "structure"),
            expected="at least two that are no near duplicates",
            next_step="give more structures to --replay, or the packaged ones with --replay probe",
        )
    labelled = labelled_by(backbone, FrameDataset(backbone, frames, {}))
    rest, held = split_off(frames, min(_HELD_FRACTION, _HELD_FRAMES / len(frames)), seed=seed)
    return Replay(labelled.part(rest), labelled.part(held), seed)


def labelled_by(backbone: Predictor, dataset: FrameDataset) -> FrameDataset:
    """Data set of the same structures with the predictions of the present weights as labels.

    Quantities that need spins are omitted: the base has no spin layer whose predictions could be preserved.
    """
    predicted = evaluate(backbone, dataset)
    return dataset.with_labels({q: values for q, values in predicted.items() if not q.needs_spins})
