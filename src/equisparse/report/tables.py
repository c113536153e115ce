"""Tables of runs, checks and adapters, for all media."""

from collections.abc import Iterator, Mapping, Sequence

from ase.data import chemical_symbols

from equisparse.interpret.attribution import AttributionRow
from equisparse.interpret.changes import ChangeTotals
from equisparse.interpret.signatures import SignatureRow
from equisparse.quantities import shown_errors
from equisparse.report.layers import group_name, layer_name, layer_sort_key
from equisparse.report.property_tables import property_table
from equisparse.report.sparsity import sparsity_panels
from equisparse.report.statistics import GroupErrors, errors_by_element, errors_by_type
from equisparse.report.table import Cell, Level, Number, Percent, Table
from equisparse.robustness.drift import DriftRow, DriftSummary
from equisparse.robustness.dynamics import DynamicsRow
from equisparse.robustness.scans import ScanRow
from equisparse.robustness.verdict import Check
from equisparse.run.folder import Run
from equisparse.run.metrics import Metrics

_NOTE = "refitted: the base with reference energies fitted to the training frames; ratio: fine-tuned / refitted"
_NOTE_FROM_START = "start: the base with the adapter from which training started; ratio: sparse / start"
_STAGE_TITLES = ("base", "base, refitted", "fine-tuned", "ratio")
_STAGE_TITLES_FROM_START = ("base", "start", "sparse", "ratio")


def run_tables(run: Run) -> Iterator[tuple[str, Table]]:
    """Name and table for all data that a run has."""
    yield "errors", error_table(run.metrics)
    if run.sparsity:
        yield "sparsity", sparsity_table(run)
    if split := run.predictions:
        yield "errors_by_element", group_table(errors_by_element(split), "element", "atoms")
        if groups := errors_by_type(split):
            yield "errors_by_type", group_table(groups, "configuration type", "frames")
    if run.signatures:
        yield "changes", change_table(run.block_signatures)
    if rows := run.element_signatures:
        yield "changes_by_element", change_table(rows)
    for by, attributed in run.attributions.items():
        yield f"attribution_{by}", attribution_table(by, attributed)
    if properties := run.properties:
        yield "properties", property_table(properties)


def error_table(metrics: Metrics) -> Table:
    """Errors of the base, of the base with refitted reference energies, and after fine-tuning, on every split."""
    rows: list[list[Cell]] = []
    for split in metrics.splits:
        for error in shown_errors():
            base, refit, final = (errors[split].get(error.name) for errors in metrics.stages.values())
            if final is not None:
                ratio = final / refit if refit else None
                values = [Number(value, error.format) for value in (base, refit, final)]
                rows.append([split, error.title, error.unit, *values, Number(ratio, "{:.2f}")])
    titles = _STAGE_TITLES_FROM_START if metrics.start else _STAGE_TITLES
    return Table(["split", "error", "unit", *titles], rows, f"Errors ({errors_note(metrics)})", grouped=True)


def errors_note(metrics: Metrics) -> str:
    """Explanation of the columns of `error_table`."""
    return _NOTE_FROM_START if metrics.start else _NOTE


def sparsity_table(run: Run) -> Table:
    """Mean absolute errors on the judged split against the number of changed weights; the base changes none."""
    panels = sparsity_panels(run)
    base: list[Cell] = [0, Percent(0.0, "{:.2%}"), None, *(Number(p.base, p.error.format) for p in panels)]
    rows = [base]
    for index, point in enumerate(panels[0].points):
        size = Number(point.adapter_bytes / 1000, "{:,.1f}")
        counts: list[Cell] = [point.changed_count, Percent(point.changed_fraction_model, "{:.2%}"), size]
        rows.append([*counts, *(Number(p.points[index].value, p.error.format) for p in panels)])
    titles = [panel.title for panel in panels]
    return Table(["changed weights", "of the model", "adapter (kB)", *titles], rows, f"Errors on {run.judged} frames")


def metrics_table(errors: Mapping[str, float | None]) -> Table:
    """Errors of one model on one data set; `errors` maps the name of an error to its value or None."""
    rows: list[list[Cell]] = [
        [error.title, Number(errors[error.name], error.format), error.unit]
        for error in shown_errors()
        if errors.get(error.name) is not None
    ]
    return Table(["error", "value", "unit"], rows, "Errors")


def group_table(groups: Sequence[GroupErrors], title: str, counted: str) -> Table:
    """Errors per group of the base and of the fine-tuned model; energies only if groups have them."""
    header = [title, counted, "force MAE, base (meV/Angstrom)", "fine-tuned"]
    rows: list[list[Cell]] = [[g.name, g.count, Number(g.force_before), Number(g.force_after)] for g in groups]
    if any(group.energy_after is not None for group in groups):
        header += ["energy MAE, base (meV/atom)", "fine-tuned"]
        for row, group in zip(rows, groups, strict=True):
            row += [Number(group.energy_before), Number(group.energy_after)]
    return Table(header, rows)


def change_table(signatures: Sequence[SignatureRow]) -> Table:
    """Change of each block, or of each element's part of a block, in the order of the layers."""
    header = ["layer", "role", "path", "changed", "of", "fraction", "relative norm", "1 - R\u00b2", "sign balance"]
    elements = any(signature.element is not None for signature in signatures)
    rows: list[list[Cell]] = []
    for signature in sorted(signatures, key=lambda signature: layer_sort_key(signature.layer)):
        first: list[Cell] = [chemical_symbols[signature.element or 0]] if elements else []
        rows.append(
            [
                *first,
                layer_name(signature.layer),
                signature.role.replace("_", " "),
                signature.path,
                signature.n_changed,
                signature.n_weights,
                Percent(signature.fraction),
                Percent(signature.relative_norm),
                Number(signature.one_minus_r2),
                Number(signature.sign_balance),
            ]
        )
    return Table(["element", *header] if elements else header, rows)


def attribution_table(by: str, groups: Sequence[AttributionRow]) -> Table:
    """Differences of errors without each group and with it alone."""
    units = {"force": "meV/Angstrom", "energy": "meV/atom"}
    header = [by, "changed weights"]
    header += [f"{error} {kind} ({unit})" for error, unit in units.items() for kind in ("without it", "it alone")]
    rows: list[list[Cell]] = []
    for group in groups:
        force = [group.difference("without", "force"), group.difference("alone", "force")]
        energy = [group.difference("without", "energy"), group.difference("alone", "energy")]
        rows.append([group_name(by, group.group), group.n_changed, *force, *energy])
    return Table(header, rows)


def probe_table(checks: Sequence[Check]) -> Table:
    """Checks of robustness with their verdicts."""
    rows: list[list[Cell]] = [[check.test, Level(check.level), check.finding, check.limits] for check in checks]
    return Table(["test", "verdict", "finding", "limits"], rows, "Robustness")


def orders_table(orders: Sequence[tuple[float, float, float, int, str]], n_orders: int) -> Table:
    """Magnetic orders, the lowest first.

    Parameters
    ----------
    orders : sequence of (energy, net, largest, count, signs)
        Energy above the lowest (eV/atom), net and largest moment (muB), number of equivalent sign patterns, and the
        signs.
    n_orders : int
        Number of all orders; `orders` are the lowest of them.
    """
    shown = f"the lowest {len(orders)} of {n_orders}" if n_orders > len(orders) else f"all {n_orders}"
    rows: list[list[Cell]] = [
        [rank, Number(1e3 * energy, "{:.2f}"), Number(net, "{:.2f}"), Number(largest, "{:.2f}"), count, signs]
        for rank, (energy, net, largest, count, signs) in enumerate(orders, 1)
    ]
    header = ["rank", "meV/atom", "net moment (muB)", "largest (muB)", "equivalent", "signs"]
    return Table(header, rows, f"Magnetic orders, {shown}")


def selected_table(frames: Sequence[tuple[int, str, str]]) -> Table:
    """Frames that were selected for labelling: index in the pool, formula, and reason."""
    rows: list[list[Cell]] = [[str(index), formula, reason] for index, formula, reason in frames]
    return Table(["frame", "formula", "reason"], rows, "Selected frames")


def explored_table(runs: Sequence[tuple[str, int, str, float, float]], limit: float) -> Table:
    """Runs of an exploration.

    Parameters
    ----------
    runs : sequence of (formula, seed, stop, picoseconds, largest)
        Why each run ended, its length, and its largest spread (meV/Angstrom).
    limit : float
        meV/Angstrom.
    """
    rows: list[list[Cell]] = [
        [formula, str(seed), stop or "all steps", Number(picoseconds), Number(largest)]
        for formula, seed, stop, picoseconds, largest in runs
    ]
    header = ["structure", "seed", "ended", "time (ps)", "largest force spread (meV/Angstrom)"]
    return Table(header, rows, f"Exploration, limit {limit:.0f} meV/Angstrom")


def totals_table(title: str, totals: Sequence[ChangeTotals], by: Sequence[str]) -> Table:
    """Changes of groups of blocks; `by` names the properties that define a group."""
    rows: list[list[Cell]] = []
    for total in totals:
        names = [group_name(*pair) for pair in zip(by, total.key, strict=True)]
        sizes: list[Cell] = [
            Percent(total.fraction, "{:.2%}"),
            Number(total.rms_change, "{:.2e}"),
            Number(total.largest, "{:.3f}"),
        ]
        rows.append([*names, total.n_weights, total.n_changed, *sizes])
    return Table([*by, "weights", "changed", "fraction", "rms change", "largest"], rows, title)


def drift_table(groups: Sequence[DriftSummary]) -> Table:
    """Median and 90th percentile of the drift of groups of probe structures."""
    header = ["group", "structures"]
    for quantity in ("energy (meV/atom)", "force (meV/Angstrom)", "stress (GPa)"):
        header += [f"{quantity}, median", "90th percentile"]
    rows: list[list[Cell]] = [
        [
            group.group,
            group.n_structures,
            Number(group.energy_mev_per_atom_median),
            Number(group.energy_mev_per_atom_p90),
            Number(group.force_mev_per_ang_median),
            Number(group.force_mev_per_ang_p90),
            Number(group.stress_gpa_median),
            Number(group.stress_gpa_p90),
        ]
        for group in groups
    ]
    return Table(header, rows)


def structure_table(structures: Sequence[DriftRow]) -> Table:
    """Drift of single probe structures."""
    header = ["structure", "kind", "energy (meV/atom)", "force (meV/Angstrom)", "stress (GPa)"]
    rows: list[list[Cell]] = [
        [row.name, row.kind, Number(row.energy_mev_per_atom), Number(row.force_mev_per_ang), Number(row.stress_gpa)]
        for row in structures
    ]
    return Table(header, rows)


def scan_table(scans: Sequence[ScanRow]) -> Table:
    """Drops and wells in energy scans of the base and of the fine-tuned model."""
    header = ["scan", "drop, base", "drop, fine-tuned", "well depth, base", "well depth, fine-tuned"]
    header += ["unphysical drop", "collapse"]
    rows: list[list[Cell]] = [
        [
            scan.name,
            Number(scan.fall_base),
            Number(scan.fall_adapted),
            Number(scan.well_base),
            Number(scan.well_adapted),
            "yes" if scan.hole else "no",
            "yes" if scan.collapse else "no",
        ]
        for scan in scans
    ]
    return Table(header, rows)


def dynamics_table(runs: Sequence[DynamicsRow]) -> Table:
    """Runs of molecular dynamics."""
    header = ["start", "ensemble", "time (ps)", "failure", "highest T (K)", "mean T (K)"]
    header += ["NVE drift (meV/atom/ps)", "difference of pair distances from the data (0 to 1)"]
    rows: list[list[Cell]] = [
        [
            row.name,
            row.ensemble,
            Number(row.picoseconds),
            row.failure or "none",
            Number(row.hottest),
            Number(row.mean_temperature),
            Number(row.drift_mev_per_atom_ps),
            Number(row.rdf_distance),
        ]
        for row in runs
    ]
    return Table(header, rows)
