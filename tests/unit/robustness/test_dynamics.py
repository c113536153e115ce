"""Dynamics: a sound potential passes; fusing, loss, heating and an energy drift are found where they were planted."""

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator

from equisparse.data.finite import check_finite
from equisparse.errors import InputError
from equisparse.robustness.dynamics import (
    DynamicsOptions,
    dynamics,
    energy_slope,
    failure_of,
    rdf_distance,
    timestep_of,
    too_hot,
)
from equisparse.robustness.verdict import dynamics_checks, overall

SHORT = DynamicsOptions(steps=60, timestep=1.0)


@pytest.fixture
def molecule() -> Atoms:
    """Three carbon atoms at the potential's bond length."""
    return Atoms("C3", positions=[(0, 0, 0), (1.4, 0, 0), (0.7, 1.2124, 0)])


def test_sound_potential_passes(morse: Any, molecule: Atoms) -> None:
    rows, failed = dynamics("C3", molecule, morse(), [molecule], SHORT)
    assert failed is None
    assert [(row.ensemble, row.failure) for row in rows] == [("NVT", ""), ("NVE", "")]
    assert rows[1].picoseconds == pytest.approx(0.06)
    assert abs(rows[1].drift_mev_per_atom_ps) < 20
    assert overall([check for check in dynamics_checks(rows) if "survival" in check.test]) == "pass"


def test_same_seed_same_run(morse: Any, molecule: Atoms) -> None:
    first, second = (dynamics("C3", molecule, morse(), [molecule], SHORT)[0] for _ in range(2))
    assert first == second


def test_planted_energy_drift_is_found(morse: Any, molecule: Atoms) -> None:
    rows, _ = dynamics("C3", molecule, morse(push=0.02), [molecule], SHORT)
    slope = rows[1].drift_mev_per_atom_ps
    assert slope is not None
    assert slope > 50
    assert overall(dynamics_checks(rows)) == "fail"


def test_a_hole_on_the_way_is_fallen_into_and_the_frame_kept(morse: Any, molecule: Atoms) -> None:
    holed = morse(hole=60.0, hole_at=0.8)
    molecule.positions *= 0.7
    rows, failed = dynamics("C3", molecule, holed, [], DynamicsOptions(steps=200, timestep=0.5))
    assert rows[-1].failure in ("fused", "too hot")
    assert failed is not None
    assert rows[-1].failure in failed.info["failure"]
    assert overall(dynamics_checks(rows)) == "fail"


def test_geometry() -> None:
    pair = Atoms("CC", positions=[(0, 0, 0), (1.5, 0, 0)])
    fused, lost, broken = pair.copy(), pair.copy(), pair.copy()
    fused.positions[1, 0], lost.positions[1, 0], broken.positions[1, 0] = 0.8, 3.0, np.nan
    found = [failure_of(atoms, pair) for atoms in (pair, fused, lost, broken)]
    assert found == ["", "fused", "lost", "not finite"]
    gas = bulk("Ar", cubic=True)
    assert failure_of(gas, gas) == ""


def test_an_atom_that_crosses_the_cell_is_not_lost() -> None:
    crystal = bulk("Cu", cubic=True) * (2, 2, 2)
    moved = crystal.copy()
    moved.positions[0] += crystal.cell[0]
    assert failure_of(moved, crystal) == ""


def test_numbers() -> None:
    assert energy_slope([1.0, 1.001, 1.002], 0.5, 2) == pytest.approx(1000.0)
    assert too_hot(950, 100, 300)
    assert too_hot(float("nan"), 100, 300)
    assert not too_hot(950, 2, 300)  # eight standard deviations of two atoms are more
    assert timestep_of(Atoms("H"), DynamicsOptions()) == 0.5
    assert timestep_of(Atoms("C"), DynamicsOptions()) == 1.0
    cold, other = [bulk("Cu")], [bulk("Cu", "bcc", a=2.9)]
    assert rdf_distance(cold, cold) == 0
    assert rdf_distance(cold, other) > 0.3


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"steps": 3}, {"timestep": -1.0}, {"temperature": np.nan}])
def test_options_without_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="out of range"):
        DynamicsOptions(**wrong)


class Refusing(Calculator):
    """Calculator of forces that are not a number, which refuses positions that are not finite."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012  as ASE declares it

    def calculate(self, atoms: Any = None, properties: Any = (), system_changes: Any = ()) -> None:
        check_finite([atoms])
        self.results = {"energy": 0.0, "forces": np.full((len(atoms), 3), np.nan)}


def test_positions_that_a_calculator_refuses_end_a_run(molecule: Atoms) -> None:
    rows, failed = dynamics("C3", molecule, Refusing(), [], SHORT)
    assert [row.failure for row in rows] == ["not finite"]
    assert failed is not None
