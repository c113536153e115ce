"""Predictions and errors of a model on frames, without training."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from equisparse.backbones.base import Predictor
from equisparse.backbones.prediction import Prediction
from equisparse.training.dataset import FrameDataset, Sample, Targets, collate
from equisparse.training.errors import ErrorSums, best_flip
from equisparse.training.memory import Room, in_pieces


@dataclass(frozen=True)
class Evaluation:
    """What a model says about the frames of one data set.

    Parameters
    ----------
    energy : array, shape (n_frames,), eV
        Total energies with the base's own reference energies.
    forces : list of arrays, each of shape (n_atoms, 3), eV/Angstrom
    stress : array, shape (n_frames, 3, 3), eV/Angstrom^3
    moments : list of arrays, each of shape (n_atoms, 3), muB, or None
        Of models that know spins.
    magnetic_forces : list of arrays, each of shape (n_atoms, 3), eV/muB, or None
    flips : bool
        Whether the moments of a frame may all be turned round.
    """

    energy: NDArray[np.float64]
    forces: list[NDArray[np.float64]]
    stress: NDArray[np.float64]
    moments: list[NDArray[np.float64]] | None = None
    magnetic_forces: list[NDArray[np.float64]] | None = None
    flips: bool = False

    def moments_near(self, labels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Moments of all atoms, those of a frame turned round where that may be and is nearer to `labels`; muB."""
        moments = self.moments or []
        sizes, joined = torch.tensor([len(part) for part in moments]), _joined(moments)
        return np.asarray(best_flip(joined, torch.from_numpy(labels), sizes) if self.flips else joined)

    def metrics(self, dataset: FrameDataset) -> dict[str, float | None]:
        """Errors against the labels of `dataset` less its shifts; names of `equisparse.training.errors.METRICS`."""
        sums = ErrorSums(flips=self.flips)
        per_atom = [None if v is None else _joined(v) for v in (self.moments, self.magnetic_forces)]
        energy, stress = torch.from_numpy(self.energy), torch.from_numpy(self.stress)
        sums.update(Prediction(energy, _joined(self.forces), stress, *per_atom), dataset.labels())
        return sums.metrics()


def predict(backbone: Predictor, samples: Sequence[Sample], *, training: bool = False) -> tuple[Prediction, Targets]:
    """What the present weights say about some frames, and the labels, both on the backbone's device."""
    graphs, targets = collate(backbone, samples)
    return backbone.predict(graphs, training=training), targets.to(backbone.device)


def evaluate(backbone: Predictor, dataset: FrameDataset, batch_size: int = 10) -> Evaluation:
    """Run the present weights of `backbone` over a data set, in smaller batches where the memory is short."""
    energies: list[Tensor] = []
    stresses: list[Tensor] = []
    atoms: dict[str, list[NDArray[np.float64]]] = {"forces": [], "moments": [], "magnetic_forces": []}
    room = Room()
    found = (in_pieces(samples, partial(predict, backbone), room) for samples in dataset.samples(batch_size))
    for prediction, targets in chain.from_iterable(found):
        energies.append(prediction.energy.double().cpu())
        stresses.append(prediction.stress.double().cpu())
        for name, parts in atoms.items():
            if (values := getattr(prediction, name)) is not None:
                parts.extend(part.double().cpu().numpy() for part in values.split(targets.n_atoms.tolist()))
    return Evaluation(
        torch.cat(energies).numpy(),
        atoms["forces"],
        torch.cat(stresses).numpy(),
        atoms["moments"] or None,
        atoms["magnetic_forces"] or None,
        backbone.flips,
    )


def _joined(parts: list[NDArray[np.float64]]) -> Tensor:
    """Values of all atoms."""
    return torch.from_numpy(np.concatenate(parts))
