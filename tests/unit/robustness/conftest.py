"""An analytic pair potential, as a calculator and as the probes see a model, with faults that can be planted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list

from equisparse.quantities import ENERGY, FORCES, STRESS, Quantity
from equisparse.robustness.predictions import Predict


class Morse(Calculator):
    """Morse pairs, with an optional Gaussian hole at `hole_at` (Angstrom) and an optional force that heats.

    Forces are exact but for `push` (eV/Angstrom), which acts along every velocity and so puts energy in.
    """

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, bond: float = 1.4, hole: float = 0.0, hole_at: float = 0.9, push: float = 0.0) -> None:
        super().__init__()
        self.bond, self.hole, self.hole_at, self.push = bond, hole, hole_at, push

    def pair(self, d: Any) -> tuple[Any, Any]:
        """Energy and its slope."""
        decay = np.exp(-2.0 * (d - self.bond))
        dip = self.hole * np.exp(-(((d - self.hole_at) / 0.1) ** 2))
        return 3.0 * (decay**2 - 2 * decay) - dip, 12.0 * (decay - decay**2) + 2 * dip * (d - self.hole_at) / 0.01

    def calculate(self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        i, d, vector = neighbor_list("idD", self.atoms, 8.0)
        energy, slope = self.pair(d)
        forces = np.zeros((len(self.atoms), 3))
        np.add.at(forces, i, (slope / d)[:, None] * vector)
        if self.push:
            velocity = self.atoms.get_velocities()
            forces += self.push * velocity / max(np.linalg.norm(velocity), 1e-9)
        self.results = {"energy": 0.5 * energy.sum(), "forces": forces}

    def predict(self, structures: Sequence[Atoms]) -> dict[Quantity, np.ndarray]:
        """Many structures."""
        energy, forces = [], [np.zeros((0, 3))]
        for atoms in structures:
            self.calculate(atoms)
            energy.append(self.results["energy"])
            forces.append(self.results["forces"])
        stress = np.full((len(structures), 3, 3), np.nan)
        return {ENERGY: np.array(energy), FORCES: np.concatenate(forces), STRESS: stress}


@pytest.fixture
def morse() -> type[Morse]:
    """The class."""
    return Morse


@pytest.fixture
def base() -> Predict:
    """Without faults."""
    return Morse().predict
