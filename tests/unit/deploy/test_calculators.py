"""Calculators refuse what a model cannot predict, and warn of energies on two scales and of results without value."""

import warnings
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from torch import Tensor

from equisparse.backbones.identity import BaseId
from equisparse.backbones.prediction import Prediction
from equisparse.deploy.calculator import AdaptedCalculator
from equisparse.deploy.shifted import ShiftedCalculator
from equisparse.errors import BackboneError, DataError, EquisparseWarning
from equisparse.inference.structures import warn_of_not_finite
from equisparse.quantities import ENERGY, FORCES, STRESS

SHIFTS = {8: -2.0, 12: 1.0}


class Springs:
    """Predictor of an energy that is not a number where two atoms coincide."""

    identity = BaseId("toy", "springs", "0" * 64, "1")
    elements = frozenset({8, 12, 20})
    dtype, device, sign_ambiguous = torch.float64, torch.device("cpu"), False

    def graph(self, atoms: Atoms) -> Tensor:
        return torch.from_numpy(atoms.get_all_distances())

    def collate(self, graphs: Sequence[Tensor]) -> Sequence[Tensor]:
        return graphs

    def predict(self, batch: Sequence[Tensor], *, training: bool = False) -> Prediction:
        energy = torch.stack([(distances / distances).triu(1).sum() for distances in batch])
        forces = torch.zeros(sum(len(distances) for distances in batch), 3, dtype=self.dtype)
        return {ENERGY: energy, FORCES: forces, STRESS: torch.full((len(batch), 3, 3), torch.nan)}


def dimer(second: str, distance: float = 1.5, **cell: object) -> Atoms:
    """Two atoms, the first of which is oxygen."""
    atoms = Atoms(f"O{second}", [[0, 0, 0], [0, 0, distance]], **cell)
    atoms.calc = AdaptedCalculator(Springs(), SHIFTS)
    return atoms


def test_an_unknown_element_is_named() -> None:
    with pytest.raises(BackboneError, match="given: Si"):
        dimer("Si").get_potential_energy()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_structures_that_are_not_finite_are_refused(value: float) -> None:
    atoms = dimer("Mg")
    atoms.positions[1, 0] = value
    with pytest.raises(DataError, match="NaN or infinite"):
        atoms.get_forces()
    with pytest.raises(DataError, match="NaN or infinite"):
        dimer("Mg", cell=[4, value, 4], pbc=True).get_forces()


def test_elements_without_a_fitted_reference_are_named() -> None:
    with pytest.warns(EquisparseWarning, match="no fitted reference energy for Ca"):
        energy = dimer("Ca").get_potential_energy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dimer("Mg").get_potential_energy() == energy + SHIFTS[12]


def test_results_that_are_not_finite_are_named() -> None:
    with (
        pytest.warns(EquisparseWarning, match="NaN or infinite values for MgO"),
        np.errstate(invalid="ignore"),
    ):
        dimer("Mg", distance=0.0).get_forces()
    with pytest.warns(EquisparseWarning, match="for MgO"):  # it has a stress
        dimer("Mg", cell=[4, 4, 4], pbc=True).get_forces()


def test_frames_with_predictions_that_are_not_finite_are_named() -> None:
    structures = [dimer("Mg") for _ in range(4)]
    forces = np.zeros((8, 3))
    forces[5, 2] = np.inf
    with pytest.warns(
        EquisparseWarning, match=r"valid frames 0, 2 \(2 frames\), the first is MgO; errors are those of"
    ):
        warn_of_not_finite({ENERGY: np.array([np.nan, 1, 1, 1]), FORCES: forces}, structures, "valid")


def test_shifts_are_added_to_the_calculator_of_a_merged_file() -> None:
    plain = bulk("Cu", cubic=True)
    plain.calc = EMT()
    shifted = plain.copy()
    shifted.calc = ShiftedCalculator(EMT(), {29: -45_000.125})
    added = -45_000.125 * len(plain)
    assert shifted.get_potential_energy() - added == pytest.approx(plain.get_potential_energy(), abs=1e-9)
    assert shifted.calc.results["free_energy"] == shifted.calc.results["energy"]
    np.testing.assert_array_equal(shifted.get_forces(), plain.get_forces())
    np.testing.assert_array_equal(shifted.get_stress(), plain.get_stress())
    assert "energies" not in shifted.calc.results
    shifted.positions[0] += 0.1
    plain.positions[0] += 0.1
    assert shifted.get_potential_energy() - added == pytest.approx(plain.get_potential_energy(), abs=1e-9)
