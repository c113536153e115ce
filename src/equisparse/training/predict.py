"""Predictions and errors of a model on frames, without training."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from equisparse.backbones.base import AbstractBackbone, Prediction
from equisparse.training.dataset import FrameDataset, Targets
from equisparse.training.errors import ErrorSums


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


def evaluate(backbone: AbstractBackbone, dataset: FrameDataset, batch_size: int = 10) -> Evaluation:
    """Run the present weights of `backbone` over a data set."""
    energies: list[torch.Tensor] = []
    forces: list[NDArray[np.float64]] = []
    stresses: list[torch.Tensor] = []
    for graphs, targets in dataset.batches(backbone, batch_size):
        prediction = backbone.predict(graphs)
        energies.append(prediction.energy.double().cpu())
        forces.extend(part.double().cpu().numpy() for part in prediction.forces.split(targets.n_atoms.tolist()))
        stresses.append(prediction.stress.double().cpu())
    return Evaluation(torch.cat(energies).numpy(), forces, torch.cat(stresses).numpy())
