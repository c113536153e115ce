"""Structures that a calculator refuses or has no stress for, and results that are not finite."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from equisparse.backbones.prediction import Prediction
from equisparse.deploy.calculator import AdaptedCalculator
from equisparse.errors import BackboneError, DataError, EquisparseError, EquisparseWarning
from equisparse.quantities import ENERGY, FORCES, STRESS

SLAB = Atoms("H2", [[0, 0, 0], [0, 0, 1]], cell=[3, 3, 10], pbc=[True, True, False])


class Zero:
    """Model whose energies are a constant."""

    elements = frozenset({1})
    identity = SimpleNamespace(source="zero")
    sign_ambiguous, dtype, device = False, torch.float64, torch.device("cpu")

    def __init__(self, energy: float = 0.0) -> None:
        self.energy = energy

    def graph(self, atoms: Atoms) -> int:
        return len(atoms)

    def collate(self, graphs: Sequence[int]) -> Sequence[int]:
        return graphs

    def predict(self, batch: Sequence[int], *, training: bool = False) -> Prediction:
        energy = torch.full((len(batch),), self.energy, dtype=torch.float64)
        return {ENERGY: energy, FORCES: torch.zeros(sum(batch), 3), STRESS: torch.zeros(len(batch), 3, 3)}


def changed(**values: object) -> Atoms:
    """Slab with another cell, periodicity or positions."""
    atoms = SLAB.copy()
    for name, value in values.items():
        atoms.set_cell(value) if name == "cell" else setattr(atoms, name, value)
    return atoms


@pytest.mark.parametrize(
    ("atoms", "error", "message"),
    [
        (SLAB[:0], DataError, "no atoms"),
        (Atoms("He"), BackboneError, "He"),
        (changed(positions=np.full((2, 3), np.nan)), DataError, "NaN or infinite"),
        (changed(cell=[3, np.inf, 10]), DataError, "NaN or infinite"),
        (changed(cell=[0, 0, 0]), DataError, r"pbc T T F, cell vectors of length 0, 0, 0"),
        (changed(pbc=True, cell=[3, 3, 0]), DataError, r"H2(.|\n)*pbc T T T"),
    ],
    ids=["no atoms", "element", "positions", "infinite cell", "no cell", "no third vector"],
)
def test_structures_are_refused(atoms: Atoms, error: type[EquisparseError], message: str) -> None:
    with pytest.raises(error, match=message):
        AdaptedCalculator(Zero()).get_potential_energy(atoms)


@pytest.mark.parametrize("atoms", [Atoms("H2"), changed(cell=[3, 3, 0]), changed(pbc=False)])
def test_the_error_says_why_there_is_no_stress(atoms: Atoms) -> None:
    calculator = AdaptedCalculator(Zero())
    assert calculator.get_forces(atoms).shape == (2, 3)
    with pytest.raises(PropertyNotImplementedError, match="no direction is periodic, or its cell has no volume"):
        calculator.get_stress(atoms)
    with pytest.raises(PropertyNotImplementedError, match="dipole"):
        calculator.get_property("dipole", atoms)


def test_results_that_are_not_finite_are_named() -> None:
    with pytest.warns(EquisparseWarning, match="NaN or infinite values for H2"):
        AdaptedCalculator(Zero(float("nan"))).get_potential_energy(SLAB)
    assert AdaptedCalculator(Zero()).get_stress(SLAB).shape == (6,)
