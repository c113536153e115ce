"""Pseudo-label replay: structures on which a fine-tune preserves the predictions of the base model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equisparse.backbones.base import Predictor
from equisparse.data.frames import LabelledFrame
from equisparse.data.split import split_off
from equisparse.inference.dataset import FrameDataset, Sample
from equisparse.inference.predict import evaluate

_HELD_FRACTION, _HELD_FRAMES = 0.2, 20
"""At most this part, and about this many, of the structures are held out."""


@dataclass(frozen=True)
class Replay:
    """Structures with the base's predictions as labels, in the base's own reference energies.

    Parameters
    ----------
    learned : FrameDataset
        Trained on, beside the target data.
    held : FrameDataset
        Held out: the drift on them is reported, and counts in the choice of the best epoch.
    seed : int
        Of the order.
    """

    learned: FrameDataset
    held: FrameDataset
    seed: int

    def batch(self, size: int, index: int) -> list[Sample]:
        """Batch of an index, from 0, in an endless sequence in which all structures come once before any comes again.

        It depends on the arguments and the seed alone, so that a resumed run goes on with the same batches.
        """
        members = [self._place(index * size + member) for member in range(size)]
        return [self.learned[member] for member in members]

    def _place(self, position: int) -> int:
        """Which structure comes at a position of the sequence."""
        turn, place = divmod(position, len(self.learned))
        return int(np.random.default_rng((self.seed, turn)).permutation(len(self.learned))[place])


def replay_of(backbone: Predictor, frames: Sequence[LabelledFrame], *, seed: int) -> Replay:
    """Replay of structures, labelled by the present weights of `backbone`; labels of their own are not used.

    Parameters
    ----------
    backbone : Predictor
        Nothing attached.
    frames : sequence of LabelledFrame
        At least two.
    seed : int
        Of the part that is held out, and of the order.
    """
    labelled = labelled_by(backbone, FrameDataset(backbone, frames, {}))
    rest, held = split_off(frames, min(_HELD_FRACTION, _HELD_FRAMES / len(frames)), seed=seed)
    return Replay(labelled.part(rest), labelled.part(held), seed)


def labelled_by(backbone: Predictor, dataset: FrameDataset) -> FrameDataset:
    """The same structures with the predictions of the present weights as labels.

    What depends on spins is left out: a spin layer has no base to stay with.
    """
    predicted = evaluate(backbone, dataset)
    return dataset.with_labels({q: values for q, values in predicted.items() if not q.needs_spins})
