"""Figures of a run for papers, and its tables as files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from equisparse.files import make_folder, write_text
from equisparse.report.layers import group_name
from equisparse.report.paper import figures
from equisparse.report.paper.tables import csv_text, latex_text
from equisparse.report.parity import parity_points
from equisparse.report.sparsity import sparsity_panels
from equisparse.report.statistics import errors_by_element
from equisparse.report.tables import run_tables
from equisparse.run.folder import Run


def write_figures(run: Run, folder: Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Write a figure for all data that a run has.

    Parameters
    ----------
    run : Run
    folder : Path
        Folder of the figures; it is made if it does not exist.
    formats : sequence of str
        File formats that Matplotlib writes, such as ``png``, ``svg`` or ``pdf``.

    Returns
    -------
    list of Path
        Files that were written.
    """
    make_folder(folder)
    written = []
    for name, figure in run_figures(run):
        for ending in formats:
            written.append(folder / f"{name}.{ending}")
            figures.save(figure, written[-1])
    return written


def write_tables(run: Run, folder: Path) -> list[Path]:
    """Write a table for all data that a run has, as CSV and as LaTeX, and return the files."""
    make_folder(folder)
    written = []
    for name, table in run_tables(run):
        for ending, text in (("csv", csv_text(table)), ("tex", latex_text(table))):
            written.append(folder / f"{name}.{ending}")
            write_text(written[-1], text)
    return written


def run_figures(run: Run) -> Iterator[tuple[str, Figure]]:
    """Name and figure for all data that a run has."""
    if run.curve:
        yield "learning_curve", figures.learning_curve(run.curve)
    if run.sparsity:
        yield "sparsity", figures.sparsity(sparsity_panels(run))
    if rows := run.block_signatures:
        yield "changes", figures.change_map(rows)
    yield from _parities(run)
    if (split := run.predictions) and (groups := errors_by_element(split)):
        forces = [(group.name, group.force_before or 0.0, group.force_after or 0.0) for group in groups]
        yield "errors_by_element", figures.before_after_bars(forces, "force MAE (meV/Angstrom)")
    for by, groups_of in run.attributions.items():
        rises = [(group_name(by, row.group), row.difference("without", "force")) for row in groups_of]
        bars = [(name, *rise) for name, rise in rises if rise is not None]
        if bars:
            yield (
                f"attribution_{by}",
                figures.interval_bars(bars, "increase of the force MAE without this part (meV/Angstrom)"),
            )


def _parities(run: Run) -> Iterator[tuple[str, Figure]]:
    """One figure per quantity with labels."""
    if split := run.predictions:
        for points in parity_points(split):
            yield f"parity_{points.quantity.name}", figures.parity(points, label=run.judged)
