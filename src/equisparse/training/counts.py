"""Numbers of frames and labels of the batches of all processes together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from lightning.pytorch import Trainer

from equisparse.inference.dataset import count_labels
from equisparse.inference.sample import Sample
from equisparse.quantities import Quantity, all_quantities


@dataclass(frozen=True)
class WholeBatch:
    """Size of a batch, of which a process, or a piece that fits into memory, is only a part.

    Parameters
    ----------
    frames : int
    labels : mapping of Quantity to int
        Numbers of finite label components.
    """

    frames: int
    labels: Mapping[Quantity, int]

    def beyond(self, frames: int) -> Mapping[Quantity, int] | None:
        """Numbers of labels for a loss of `frames` frames of the batch; None if they are all of it."""
        return None if frames == self.frames else self.labels


def whole_batch(samples: Sequence[Sample], trainer: Trainer | None = None) -> WholeBatch:
    """Count the frames and labels of a batch, summed over the processes of a trainer; all of them have to call it."""
    own = count_labels(samples)
    if trainer is None or trainer.world_size == 1:
        return WholeBatch(len(samples), own)
    numbers = [len(samples), *(own.get(quantity, 0) for quantity in all_quantities())]
    total = torch.tensor(numbers, dtype=torch.float64, device=trainer.strategy.root_device)
    frames, *labels = trainer.strategy.reduce(total, reduce_op="sum").tolist()
    return WholeBatch(int(frames), {q: int(n) for q, n in zip(all_quantities(), labels, strict=True) if n})
