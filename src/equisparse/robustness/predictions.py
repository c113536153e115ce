"""What a model says about many structures at once: the one thing that all probes ask of a model."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from equisparse.backbones.base import AbstractBackbone
from equisparse.data.frames import Floats

_BATCH_ATOMS = 256
"""Atoms of one batch, about: enough to fill a core, little enough for any memory."""


@dataclass(frozen=True)
class Predictions:
    """Predictions on a list of structures, in its order.

    Parameters
    ----------
    energy : array, shape (n_structures,), eV
        Total energies with the base's own reference energies, for an adapted model, too.
    forces : list of arrays, each of shape (n_atoms, 3), eV/Angstrom
    stress : array, shape (n_structures, 3, 3), eV/Angstrom^3
        NaN where a structure is not periodic.
    """

    energy: Floats
    forces: list[Floats]
    stress: Floats


Predict = Callable[[Sequence[Atoms]], Predictions]
"""A model as the probes see it."""


def predictor(backbone: AbstractBackbone) -> Predict:
    """The weights that `backbone` has when the predictor is called, on batches of structures."""

    def predict(structures: Sequence[Atoms]) -> Predictions:
        if not structures:
            return Predictions(np.zeros(0), [], np.zeros((0, 3, 3)))
        energy, stress, forces = [], [], []
        for batch in _batches(structures):
            found = backbone.predict(backbone.collate([backbone.graph(atoms) for atoms in batch]))
            energy.append(found.energy.double().cpu().numpy())
            stress.append(found.stress.double().cpu().numpy())
            ends = np.cumsum([len(atoms) for atoms in batch])[:-1]
            forces += np.split(found.forces.double().cpu().numpy(), ends)
        stresses = np.concatenate(stress)
        stresses[[not atoms.pbc.all() for atoms in structures]] = np.nan
        return Predictions(np.concatenate(energy), forces, stresses)

    return predict


def _batches(structures: Sequence[Atoms]) -> Iterator[list[Atoms]]:
    """Structures in order, in parts of about `_BATCH_ATOMS` atoms."""
    batch: list[Atoms] = []
    for atoms in structures:
        if batch and sum(map(len, batch)) + len(atoms) > _BATCH_ATOMS:
            yield batch
            batch = []
        batch.append(atoms)
    if batch:
        yield batch
