"""Predictions and errors of a model on frames, without training."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from equisparse.backbones.base import AbstractBackbone, Prediction
from equisparse.training.dataset import FrameDataset, Sample, Targets, collate
from equisparse.training.errors import ErrorSums
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
    """

    energy: NDArray[np.float64]
    forces: list[NDArray[np.float64]]
    stress: NDArray[np.float64]

    def metrics(self, dataset: FrameDataset) -> dict[str, float | None]:
        """Errors against the labels of `dataset` less its shifts; names of `equisparse.training.errors.METRICS`."""
        sums = ErrorSums()
        energy, forces, stress = dataset.labels()
        n_atoms = torch.tensor([len(part) for part in self.forces])
        prediction = Prediction(*map(torch.from_numpy, (self.energy, np.concatenate(self.forces), self.stress)))
        targets = Targets(*map(torch.from_numpy, (energy, forces, stress)), n_atoms)  # type: ignore[call-arg]
        sums.update(prediction, targets)
        return sums.metrics()


def predict(
    backbone: AbstractBackbone, samples: Sequence[Sample], *, training: bool = False
) -> tuple[Prediction, Targets]:
    """What the present weights say about some frames, and the labels, both on the backbone's device."""
    graphs, targets = collate(backbone, samples)
    return backbone.predict(graphs, training=training), targets.to(backbone.device)


def evaluate(backbone: AbstractBackbone, dataset: FrameDataset, batch_size: int = 10) -> Evaluation:
    """Run the present weights of `backbone` over a data set, in smaller batches where the memory is short."""
    energies: list[torch.Tensor] = []
    forces: list[NDArray[np.float64]] = []
    stresses: list[torch.Tensor] = []
    room = Room()
    for samples in dataset.samples(batch_size):
        for prediction, targets in in_pieces(samples, partial(predict, backbone), room):
            energies.append(prediction.energy.double().cpu())
            forces.extend(part.double().cpu().numpy() for part in prediction.forces.split(targets.n_atoms.tolist()))
            stresses.append(prediction.stress.double().cpu())
    return Evaluation(torch.cat(energies).numpy(), forces, torch.cat(stresses).numpy())
