"""Pass, warn or fail, with the thresholds; docs/robustness.md gives the reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from equisparse.robustness.dynamics import DynamicsRow
from equisparse.robustness.scans import ScanRow

Level = Literal["pass", "warn", "fail"]

ENERGY_DRIFT = (30.0, 300.0)
"""Median drift on the probe structures, meV/atom, from which to warn, and to fail: the error of a foundation model
against its own theory is some 30 meV/atom, so that a smaller drift is within what the base did not know; at ten times
that nothing of the base is left."""
FORCE_DRIFT = (50.0, 200.0)
"""The same for mean absolute force differences, meV/Angstrom: half of the probe structures have forces below 260, and
one that is off by its own size says nothing."""
NVE_DRIFT = (5.0, 50.0)
"""Slope of the total energy, absolute, meV/atom/ps: 5 heats a crystal by about 20 K in a picosecond."""
RDF_DISTANCE = (0.4, 0.7)
"""Distance of pair distances from the data: temperatures may differ, so that only a new structure is far."""


@dataclass(frozen=True)
class Check:
    """One line of the verdict.

    Parameters
    ----------
    test, finding : str
        What was tried; what it gave.
    level : {"pass", "warn", "fail"}
    limits : str
        What is warned of, and what fails.
    """

    test: str
    finding: str
    level: Level
    limits: str


def overall(checks: Sequence[Check]) -> Level:
    """The worst level."""
    return max((check.level for check in checks), key=("pass", "warn", "fail").index)


def drift_checks(found: Mapping[str, Any]) -> list[Check]:
    """Retention, from `equisparse.robustness.drift.summary` of all probe structures."""
    return [
        _median("energy", "meV/atom", "energy_mev_per_atom", ENERGY_DRIFT, found),
        _median("forces", "meV/Angstrom", "force_mev_per_ang", FORCE_DRIFT, found),
    ]


def scan_check(test: str, unit: str, rows: Sequence[ScanRow]) -> Check:
    """Holes of scans: any hole is warned of, a hole that is lower than the well fails."""
    holes = [row for row in rows if row.hole]
    collapsed = [row for row in rows if row.collapse]
    level: Level = "fail" if collapsed else "warn" if holes else "pass"
    worst = max(rows, key=lambda row: row.fall_adapted - row.fall_base)
    finding = f"{len(holes)} of {len(rows)} with a hole the base lacks, {len(collapsed)} below the well"
    if holes:
        finding += f"; worst {worst.name}: {worst.fall_adapted:.2g} {unit} (base {worst.fall_base:.2g})"
    return Check(test, finding, level, "warn: a hole; fail: one below the well")


def dynamics_checks(rows: Sequence[DynamicsRow]) -> list[Check]:
    """Survival, energy conservation and structure of the runs."""
    failed = [row for row in rows if row.failure]
    finding = f"{len(rows) - len(failed)} of {len(rows)} runs whole, hottest {max(row.hottest for row in rows):.0f} K"
    if failed:
        finding += f"; {failed[0].name} {failed[0].ensemble} {failed[0].failure} after {failed[0].picoseconds:.3f} ps"
    checks = [Check("dynamics: survival", finding, "fail" if failed else "pass", "fail: fused, lost, too hot")]
    slopes = [abs(row.drift_mev_per_atom_ps) for row in rows if row.drift_mev_per_atom_ps is not None]
    if slopes:
        checks.append(_limited("dynamics: NVE energy drift", max(slopes), "meV/atom/ps", NVE_DRIFT))
    distances = [row.rdf_distance for row in rows if row.rdf_distance is not None]
    if distances:
        checks.append(_limited("dynamics: pair distances from the data", max(distances), "of 1", RDF_DISTANCE))
    return checks


def _median(title: str, unit: str, name: str, limits: tuple[float, float], found: Mapping[str, Any]) -> Check:
    """One quantity of the retention."""
    median, tail, worst = (found[f"{name}_{key}"] for key in ("median", "p90", "max"))
    finding = f"median {median:.3g} {unit}, 90 % {tail:.3g}, largest {worst:.3g}"
    return Check(f"retention: {title}", finding, _level(median, limits), _words(limits))


def _limited(test: str, value: float, unit: str, limits: tuple[float, float]) -> Check:
    """A number against two limits."""
    return Check(test, f"at most {value:.2g} {unit}", _level(value, limits), _words(limits))


def _level(value: float, limits: tuple[float, float]) -> Level:
    """What a number amounts to; one that is not finite fails."""
    warn, fail = limits
    return "pass" if value < warn else "warn" if value < fail else "fail"


def _words(limits: tuple[float, float]) -> str:
    """Two limits in words."""
    return f"warn from {limits[0]:g}, fail from {limits[1]:g}"
