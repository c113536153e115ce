"""Verdict of the robustness tests, pass, warn or fail, with its thresholds; docs/robustness.md gives the reasons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from equisparse.robustness.drift import DriftSummary
from equisparse.robustness.dynamics import DynamicsRow
from equisparse.robustness.scans import ScanRow
from equisparse.wording import counted

Level = Literal["pass", "warn", "fail"]

ENERGY_DRIFT = (30.0, 300.0)
"""Median drift on the probe structures, meV/atom, from which on the verdict is warn, and fail. A foundation model
differs from its own theory by about 30 meV/atom, so a smaller drift is within the error of the base. At ten times that,
the knowledge of the base is lost."""
FORCE_DRIFT = (50.0, 200.0)
"""The same for mean absolute force differences, meV/Angstrom. Half of the probe structures have forces below 260: a
prediction that is off by that much means nothing."""
NVE_DRIFT = (5.0, 50.0)
"""The same for the magnitude of the slope of the total energy, meV/atom/ps: 5 heats a crystal by about 20 K per ps."""
RDF_DISTANCE = (0.4, 0.7)
"""The same for the `rdf_distance` from the data: different temperatures alone stay below, a new structure does not."""


@dataclass(frozen=True)
class Check:
    """One line of the verdict.

    Parameters
    ----------
    test : str
        Name of the test.
    finding : str
        Its result, with numbers and units.
    level : {"pass", "warn", "fail"}
    limits : str
        Thresholds of the levels.
    """

    test: str
    finding: str
    level: Level
    limits: str


def overall(checks: Sequence[Check]) -> Level:
    """The worst level of all checks."""
    return max((check.level for check in checks), key=("pass", "warn", "fail").index)


def drift_checks(drift: DriftSummary) -> list[Check]:
    """Judge the retention from the drift over all probe structures."""
    energy = (drift.energy_mev_per_atom_median, drift.energy_mev_per_atom_p90, drift.energy_mev_per_atom_max)
    force = (drift.force_mev_per_ang_median, drift.force_mev_per_ang_p90, drift.force_mev_per_ang_max)
    return [
        _drift_check("energy", "meV/atom", ENERGY_DRIFT, *energy),
        _drift_check("forces", "meV/Angstrom", FORCE_DRIFT, *force),
    ]


def scan_check(test: str, unit: str, rows: Sequence[ScanRow]) -> Check:
    """Check of all scans of one kind: any hole is a warning, a hole that is lower than the well a failure."""
    holes = [row for row in rows if row.hole]
    collapsed = [row for row in rows if row.collapse]
    level: Level = "fail" if collapsed else "warn" if holes else "pass"
    worst = max(rows, key=lambda row: row.fall_adapted - row.fall_base)
    finding = f"{len(holes)} of {len(rows)} with a hole the base lacks, {len(collapsed)} below the well"
    if holes:
        finding += f"; worst {worst.name}: {worst.fall_adapted:.2g} {unit} (base {worst.fall_base:.2g})"
    return Check(test, finding, level, "warn: a hole; fail: one below the well")


def dynamics_checks(rows: Sequence[DynamicsRow]) -> list[Check]:
    """Checks of dynamics runs: survival, energy conservation, and pair distances."""
    failed = [row for row in rows if row.failure]
    whole, hottest = len(rows) - len(failed), max(row.hottest for row in rows)
    finding = f"{whole} of {counted(len(rows), 'run')} whole, hottest {hottest:.0f} K"
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


def _drift_check(
    quantity: str,
    unit: str,
    limits: tuple[float, float],
    median: float | None,
    tail: float | None,
    largest: float | None,
) -> Check:
    """Judge the median drift of one quantity; warn where it could not be measured."""
    test = f"retention: {quantity}"
    if median is None:
        return Check(test, "not measured: the base covers all elements of no probe structure", "warn", _words(limits))
    finding = f"median {median:.3g} {unit}, 90th percentile {tail:.3g}, largest {largest:.3g}"
    return Check(test, finding, _level(median, limits), _words(limits))


def _limited(test: str, value: float, unit: str, limits: tuple[float, float]) -> Check:
    """Check of a number against two limits."""
    return Check(test, f"at most {value:.2g} {unit}", _level(value, limits), _words(limits))


def _level(value: float, limits: tuple[float, float]) -> Level:
    """Level of a number; one that is not finite fails."""
    warn, fail = limits
    return "pass" if value < warn else "warn" if value < fail else "fail"


def _words(limits: tuple[float, float]) -> str:
    """Two limits as text."""
    return f"warn from {limits[0]:g}, fail from {limits[1]:g}"
