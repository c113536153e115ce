"""Exploration: a run stops where the spread crosses the limit, where the geometry fails, or at its end."""

from typing import Any

import numpy as np
import pytest
from ase import Atoms

from equisparse.robustness.dynamics import DynamicsOptions
from equisparse.robustness.exploration import walk

OPTIONS = DynamicsOptions(steps=40, timestep=1.0, temperature=300.0)


@pytest.fixture
def molecule() -> Atoms:
    """Three carbon atoms at the potential's bond length."""
    return Atoms("C3", positions=[(0, 0, 0), (1.4, 0, 0), (0.7, 1.2124, 0)])


@pytest.fixture
def unsure(morse: type[Any]) -> type[Any]:
    """A potential that is the less certain, the farther the first atom is from where it was at the first step."""

    class Unsure(morse):
        implemented_properties = [*morse.implemented_properties, "forces_std"]  # noqa: RUF012
        first = None

        def calculate(self, *arguments: Any, **options: Any) -> None:
            super().calculate(*arguments, **options)
            self.first = self.atoms.positions.copy() if self.first is None else self.first
            self.results["forces_std"] = np.zeros((len(self.atoms), 3))
            self.results["forces_std"][0] = np.linalg.norm(self.atoms.positions[0] - self.first[0])

    return Unsure


def test_a_run_stops_at_the_limit(unsure: type[Any], molecule: Atoms) -> None:
    found = walk(molecule, unsure(), 0.02, OPTIONS, every=5)
    assert found.stop == "uncertain"
    assert found.last.info["force_std"] == found.largest > 0.02
    assert found.picoseconds == pytest.approx(1e-3 * (len(found.frames) * 5 - 5), abs=5e-3)
    assert all(frame.info["force_std"] <= 0.02 for frame in found.frames if frame is not found.last)
    assert found.last.calc is None
    assert not found.last.has("momenta")


def test_a_run_below_the_limit_makes_all_its_steps(unsure: type[Any], molecule: Atoms) -> None:
    found = walk(molecule, unsure(), 10.0, OPTIONS, every=10)
    assert (found.stop, found.picoseconds, len(found.frames)) == ("", pytest.approx(0.04), 5)
    again = walk(molecule, unsure(), 10.0, OPTIONS, every=10)
    np.testing.assert_array_equal(found.last.positions, again.last.positions)


def test_a_run_stops_where_the_geometry_fails(unsure: type[Any], molecule: Atoms) -> None:
    molecule.positions *= 0.75
    assert walk(molecule, unsure(), 10.0, DynamicsOptions(steps=200, timestep=1.0), every=10).stop in (
        "lost",
        "too hot",
    )
