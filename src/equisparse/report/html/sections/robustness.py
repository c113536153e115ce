"""What the model forgot and where it breaks, if `equisparse probe` was run."""

from markupsafe import Markup

from equisparse.report.html import elements, plots
from equisparse.report.tables import number
from equisparse.robustness.drift import DriftRow, DriftSummary
from equisparse.robustness.scans import ScanRow
from equisparse.run.folder import Run

_WORST = 4
"""Dimer pairs shown as curves."""
_NOTE = (
    "Reference is the base itself: structures are probes, not targets. Energies are compared without the shifted "
    "reference energies. In the table: medians, and 90th percentiles in brackets."
)


def robustness(run: Run) -> Markup | None:
    """Verdict table, drift per element, dimer curves and the numbers behind."""
    if run.verdict is None:
        return None
    checks = [[check.test, check.level, check.finding, check.limits] for check in run.verdict.checks]
    parts = [
        elements.paragraph(f"Verdict of equisparse probe: {run.verdict.level}."),
        elements.table(["test", "verdict", "finding", "limits"], checks),
        _drift(run),
        _dimers(run),
        _dynamics(run),
    ]
    return Markup("").join(parts)


def _drift(run: Run) -> Markup:
    """Force drift per element, drift by groups, and the worst structures."""
    by_element = run.files.probe.elements.read()
    names = [row.element for row in by_element]
    inside = [row.force_mev_per_ang if row.in_data else None for row in by_element]
    outside = [row.force_mev_per_ang if not row.in_data else None for row in by_element]
    series = {"in the data": inside, "not in the data": outside}
    figure = plots.grouped_bars(names, series, unit="force drift (meV/Angstrom)").update_layout(barmode="overlay")
    caption = "Mean absolute difference of forces from the base, by element, on strained and rattled probe structures."
    return (
        Markup("<h3>Retention</h3>")
        + elements.plot(figure, caption, width=8 * len(names))
        + elements.paragraph(_NOTE)
        + elements.table(*_groups(run.files.probe.groups.read()))
        + elements.folded("The worst structures", elements.table(*_worst(run.files.probe.drift.read()[:15])))
    )


def _groups(rows: list[DriftSummary]) -> tuple[list[str], list[list[str]]]:
    """Medians and 90th percentiles of the groups."""
    header = ["structures", "number", "energy (meV/atom)", "force (meV/Angstrom)", "stress (GPa)"]
    names = ("energy_mev_per_atom", "force_mev_per_ang", "stress_gpa")
    return header, [
        [
            row.group,
            str(row.n_structures),
            *(f"{number(getattr(row, f'{name}_median'))} ({number(getattr(row, f'{name}_p90'))})" for name in names),
        ]
        for row in rows
    ]


def _worst(rows: list[DriftRow]) -> tuple[list[str], list[list[str]]]:
    """Structures with the largest force drift."""
    header = ["structure", "kind", "energy (meV/atom)", "force (meV/Angstrom)", "stress (GPa)"]
    columns = ("energy_mev_per_atom", "force_mev_per_ang", "stress_gpa")
    return header, [[row.name, row.kind, *(number(getattr(row, column)) for column in columns)] for row in rows]


def _dimers(run: Run) -> Markup:
    """Curves of the pairs whose falls differ most from the base's, and of all scans the numbers."""
    rows, curves = run.files.probe.scans("dimers").read(), run.files.probe.scan_curves("dimers").read()
    worst = sorted(rows, key=_difference, reverse=True)[:_WORST]
    shown = Markup("").join(
        elements.plot(
            plots.scan(row.name, points, x="distance (Angstrom)", y="energy (eV)"),
            f"Dimer {row.name}: energy of the base and of the fine-tuned model, less that at the cutoff.",
            height=300,
        )
        for row in worst
        if (points := [point for point in curves if point.name == row.name])
    )
    header = ["scan", "fall, base", "fall, fine-tuned", "well, base", "well, fine-tuned", "hole", "below the well"]
    table = elements.table(header, [_scan(row) for row in [*rows, *run.files.probe.scans("compression").read()]])
    note = "A fall is the largest drop of the energy on the way in from the well: eV; eV/atom under compression."
    return Markup("<h3>Short range</h3>") + shown + elements.paragraph(note) + elements.folded("All scans", table)


def _difference(row: ScanRow) -> float:
    """How much two models differ in a scan: falls first, then wells."""
    fall = abs(row.fall_adapted - row.fall_base)
    return float(1e3 * fall + abs(row.well_adapted - row.well_base))


def _scan(row: ScanRow) -> list[str]:
    """One line of the table of scans."""
    names = ("fall_base", "fall_adapted", "well_base", "well_adapted")
    marks = ["yes" if mark else "no" for mark in (row.hole, row.collapse)]
    return [row.name, *(number(getattr(row, name)) for name in names), *marks]


def _dynamics(run: Run) -> Markup:
    """Runs of molecular dynamics."""
    header = [
        "start",
        "ensemble",
        "ps",
        "failure",
        "hottest (K)",
        "mean (K)",
        "NVE drift (meV/atom/ps)",
        "pair distances",
    ]
    names = ("picoseconds", "hottest", "mean_temperature", "drift_mev_per_atom_ps", "rdf_distance")
    rows = []
    for row in run.files.probe.dynamics.read():
        ps, hottest, mean, slope, rdf = (number(getattr(row, name)) for name in names)
        rows.append([row.name, row.ensemble, ps, row.failure or "none", hottest, mean, slope, rdf])
    return Markup("<h3>Dynamics</h3>") + elements.table(header, rows)
