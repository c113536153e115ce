"""Drift: zero against itself, and known where it was planted."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from equisparse.quantities import ENERGY, FORCES, STRESS
from equisparse.robustness.drift import DISTANCES, drift_line, drift_rows, element_drifts, grouped, summary
from equisparse.robustness.predictions import Predict
from equisparse.units import GPA_PER_EV_PER_ANG3


@pytest.fixture
def structures() -> list[Atoms]:
    made = [bulk("Cu") * (2, 1, 1), bulk("MgO", "rocksalt", a=4.2), Atoms("CO", positions=[(0, 0, 0), (0, 0, 1.1)])]
    for atoms, kind in zip(made, ("element", "compound", "molecule"), strict=True):
        atoms.info.update(name=atoms.symbols.get_chemical_formula(), kind=kind)
    return made


def test_a_model_does_not_drift_from_itself(structures: list[Atoms], base: Predict) -> None:
    found = base(structures)
    assert all(r.energy_mev_per_atom == r.force_mev_per_ang == 0 for r in drift_rows(structures, found, found, {8}))
    assert all(r.force_mev_per_ang == 0 for r in element_drifts(structures, found, found, {8}))


def test_planted_drift_is_given_in_its_units_and_place(structures: list[Atoms], base: Predict) -> None:
    found = base(structures)
    forces = found[FORCES].copy()
    forces[2] += 0.3  # the magnesium of MgO
    stress = np.stack([0.01 * np.ones((3, 3)), np.zeros((3, 3)), np.full((3, 3), np.nan)])
    moved = {ENERGY: found[ENERGY] + np.array([0.02, 0.0, 0.0]), FORCES: forces, STRESS: stress}
    still = found | {STRESS: np.where(np.isnan(stress), np.nan, 0.0)}
    copper, oxide, molecule = drift_rows(structures, still, moved, {8, 12})
    assert copper.energy_mev_per_atom == pytest.approx(10)
    assert copper.stress_gpa == pytest.approx(0.01 * GPA_PER_EV_PER_ANG3)
    assert oxide.force_mev_per_ang == pytest.approx(150)
    assert molecule.stress_gpa is None
    assert (copper.foreign, oxide.foreign, molecule.foreign) == (1, 0, 0.5)
    elements = {row.element: row for row in element_drifts(structures, still, moved, {8, 12})}
    assert elements["Mg"].force_mev_per_ang == pytest.approx(300)
    assert elements["O"].force_mev_per_ang == 0
    assert (elements["O"].n_structures, elements["O"].in_data, elements["Cu"].in_data) == (2, True, False)
    groups = {row.group: row for row in grouped([copper, oxide, molecule])}
    assert set(groups) == {"all", "elements", "compounds", "molecules", *DISTANCES}
    assert groups["all"].force_mev_per_ang_max == pytest.approx(150)
    assert groups["molecules"].stress_gpa_median is None
    assert "3 probe structures" in drift_line(groups["all"])


def test_without_structures_nothing_is_measured(base: Predict) -> None:
    nothing = base([])
    assert "not measured" in drift_line(summary(drift_rows([], nothing, nothing, [1])))
    assert element_drifts([], nothing, nothing, [1]) == []
