"""Results of `equisparse probe`: retention, short range and dynamics."""

from dataclasses import replace

from markupsafe import Markup

from equisparse.report.html import elements, plots
from equisparse.report.tables import drift_table, dynamics_table, probe_table, scan_table, structure_table
from equisparse.robustness.scans import ScanRow
from equisparse.run.folder import Run

_WORST = 4
"""Number of dimers shown as curves."""
_STRUCTURES = 15
"""Number of structures in the table of the largest drifts."""
_NOTE = (
    "Drift is the difference between the fine-tuned model and the base on structures outside of the data. The shifts "
    "of the reference energies are not part of the drift."
)


def robustness(run: Run) -> Markup | None:
    """Verdict, drift per element, dimer curves, dynamics, and tables of all values."""
    if run.verdict is None:
        return None
    parts = [
        elements.paragraph(f"Verdict of equisparse probe: {run.verdict.level}."),
        elements.table(replace(probe_table(run.verdict.checks), title="")),
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
        + elements.table(drift_table(run.files.probe.groups.read()))
        + elements.folded(
            "The structures with the largest drift",
            elements.table(structure_table(run.files.probe.drift.read()[:_STRUCTURES])),
        )
    )


def _dimers(run: Run) -> Markup:
    """Curves of the dimers that differ most from the base, and a table of all scans."""
    rows, curves = run.files.probe.scans("dimers").read(), run.files.probe.scan_curves("dimers").read()
    worst = sorted(rows, key=_difference, reverse=True)[:_WORST]
    shown = Markup("").join(
        elements.plot(
            plots.scan(row.name, points, x="distance (Angstrom)", y="energy (eV)"),
            f"Dimer {row.name}: energy of the base and of the fine-tuned model, relative to the cutoff distance.",
            height=300,
        )
        for row in worst
        if (points := [point for point in curves if point.name == row.name])
    )
    table = elements.table(scan_table([*rows, *run.files.probe.scans("compression").read()]))
    note = (
        "The drop is the largest decrease of the energy when atoms approach each other inside of the well. The well "
        "depth is the difference between the energy of the first point and the lowest energy. Units: eV for dimers "
        "and eV/atom for compressed structures."
    )
    return Markup("<h3>Short range</h3>") + shown + elements.paragraph(note) + elements.folded("All scans", table)


def _difference(row: ScanRow) -> float:
    """Difference of two models in a scan: first by drops, then by wells."""
    fall = abs(row.fall_adapted - row.fall_base)
    return float(1e3 * fall + abs(row.well_adapted - row.well_base))


def _dynamics(run: Run) -> Markup:
    """Runs of molecular dynamics."""
    return Markup("<h3>Dynamics</h3>") + elements.table(dynamics_table(run.files.probe.dynamics.read()))
