"""Scans find a planted hole where it is, and nothing in a sound potential."""

from typing import Any

import numpy as np
import pytest
from ase.build import bulk

from equisparse.quantities import ENERGY
from equisparse.robustness.predictions import Predict
from equisparse.robustness.scans import compression_scans, dimer_scans, judged
from equisparse.robustness.verdict import scan_check


def test_no_hole_against_itself_and_all_pairs(base: Predict) -> None:
    rows = [judged(scan) for scan in dimer_scans(base, base, [6, 1, 8], 5.0)]
    assert [row.name for row in rows] == ["H-H", "H-C", "H-O", "C-C", "C-O", "O-O"]
    assert not any(row.hole or row.fall_adapted != row.fall_base for row in rows)
    assert scan_check("dimers", "eV", rows).level == "pass"


@pytest.mark.parametrize(("depth", "level"), [(0.02, "pass"), (8.0, "warn"), (30.0, "fail")])
def test_planted_hole(morse: Any, base: Predict, depth: float, level: str) -> None:
    (scan,) = dimer_scans(base, morse(hole=depth, hole_at=0.85).predict, [6], 5.0)
    row = judged(scan)
    assert scan_check("dimers", "eV", [row]).level == level
    assert row.hole == (level != "pass")
    if row.hole:
        assert row.fall_at == pytest.approx(0.85, abs=0.08)
        assert row.fall_base == 0


def test_a_hole_that_the_base_has_too_is_not_held_against_the_model(morse: Any) -> None:
    faulty = morse(hole=8.0, hole_at=0.85).predict
    (scan,) = dimer_scans(faulty, faulty, [6], 5.0)
    row = judged(scan)
    assert row.fall_base > 0.5
    assert not row.hole


def test_energies_that_are_not_finite_fail(base: Predict) -> None:
    def broken(structures: Any) -> Any:
        found = base(structures)
        found[ENERGY][-1] = np.nan
        return found

    (scan,) = dimer_scans(base, broken, [6], 5.0)
    assert scan_check("dimers", "eV", [judged(scan)]).level == "fail"


def test_compression(morse: Any) -> None:
    sound, holed = morse(bond=2.5), morse(bond=2.5, hole=20.0, hole_at=2.15)
    crystal = bulk("Cu", a=3.61)
    (clean,) = compression_scans(sound.predict, sound.predict, [crystal])
    (scan,) = compression_scans(sound.predict, holed.predict, [crystal])
    assert scan.x[-1] == pytest.approx(0.6)
    assert not judged(clean).hole
    assert judged(scan).hole
    nearest = 3.61 / np.sqrt(2) * judged(scan).fall_at ** (1 / 3)
    assert nearest == pytest.approx(2.15, abs=0.1)
