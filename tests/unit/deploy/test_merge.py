"""The comparison of a merged file with its adapter: bounds that mean something, whatever the size of the energies."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from equisparse.deploy.merge import LARGEST_ENERGY_TOLERANCE, MergeCheck, Predicted, judged
from equisparse.tasks.merge import _with_suffix

FORCES, STRESS = np.full((4, 3), 0.5), np.full(6, 0.01)


def predicted(energy: float, forces: float = 0.0, stress: float = 0.0) -> Predicted:
    """Prediction of a frame of four atoms, with forces and stress off by constants."""
    return Predicted(energy, FORCES + forces, STRESS + stress)


def check(*pairs: tuple[float, float]) -> MergeCheck:
    """Comparison of frames with these energies, ours and theirs, in eV."""
    return judged([predicted(ours) for ours, _ in pairs], [predicted(theirs) for _, theirs in pairs])


def test_rounding_of_small_energies_is_equal() -> None:
    found = check((-30.0, -30.0 + 3e-5), (-31.0, -31.0))
    assert found.equal
    assert found.energy == pytest.approx(7.5e-6)
    assert not check((-30.0, -30.0 + 3e-4)).equal


@pytest.mark.parametrize("per_atom", [-700.0, -3000.0, -518_000.0])
def test_large_energies_have_the_same_bound(per_atom: float) -> None:
    total = 4 * per_atom
    assert check((total, total + 0.003), (total + 1, total + 1.003)).equal
    found = check((total, total + 0.003), (total, total - 0.003))
    assert found.relative_energy == pytest.approx(0.0015)
    assert not found.equal
    assert found.only_rounding


def test_an_all_electron_file_in_single_precision_is_not_equal() -> None:
    totals = 4 * -518_000.0 - np.linspace(0, 1, 5)
    found = check(*((float(total), float(np.float32(total))) for total in totals))
    assert found.energy == 0  # by luck: these energies have few digits
    assert (found.equal, found.only_rounding) == (False, True)
    assert str(found).startswith("energies are equal only within the rounding of the file")
    totals = totals - 0.07
    found = check(*((float(total), float(np.float32(total))) for total in totals))
    assert found.energy > LARGEST_ENERGY_TOLERANCE
    assert (found.equal, found.only_rounding) == (False, True)


@pytest.mark.parametrize("wrong", [{"forces": 0.01}, {"stress": 0.001}, {"forces": np.nan}, {"stress": np.nan}])
def test_wrong_forces_or_stresses_are_no_rounding(wrong: dict[str, float]) -> None:
    found = judged([predicted(-2e6)], [predicted(-2e6 + 0.1, **wrong)])
    assert (found.equal, found.only_rounding) == (False, False)


def test_a_prediction_that_is_not_a_number_is_not_equal() -> None:
    for pairs in (((-1.0, np.nan), (-1.0, -1.0)), ((-1.0, -1.0), (-1.0, np.nan))):
        found = check(*pairs)
        assert (found.equal, found.only_rounding) == (False, False)


def test_checks_of_earlier_versions_lack_relative_energies() -> None:
    values = asdict(check((-1.0, -1.0)))
    earlier = MergeCheck(**{name: values[name] for name in list(values)[:6]})
    assert earlier.relative_energy is None
    assert "relative" not in str(earlier)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("m", "m.pth"), ("m.pth", "m.pth"), ("a.b/m", "a.b/m.pth"), ("m.v2", "m.v2.pth"), (".pth", ".pth")],
)
def test_the_suffix_of_the_upstream_is_added(given: str, expected: str) -> None:
    assert _with_suffix(Path(given), ".pth") == Path(expected)
