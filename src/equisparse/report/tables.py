"""Tables of a run as text: what its page shows, and what `equisparse export` writes as CSV and LaTeX."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ase.data import chemical_symbols

from equisparse.interpret.attribution import AttributionRow, Interval
from equisparse.interpret.signatures import SignatureRow
from equisparse.quantities import shown_errors
from equisparse.report.statistics import GroupErrors, errors_by_element, errors_by_type
from equisparse.report.terminal.tables import layer_name, layer_order
from equisparse.run.folder import Run

_LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\u00b2": r"\textsuperscript{2}",
    ">": r"\textgreater{}",
    "<": r"\textless{}",
}


class Table(NamedTuple):
    """A table of text.

    Parameters
    ----------
    header : sequence of str
        Titles of the columns.
    rows : sequence of sequence of str
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def csv(self) -> str:
        """Comma-separated, quoted where that is needed."""
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()

    def latex(self) -> str:
        """A ``tabular`` with the rules of the package booktabs."""
        lines = [" & ".join(map(_escaped, row)) + r" \\" for row in [self.header, *self.rows]]
        begin = rf"\begin{{tabular}}{{{'l' * len(self.header)}}}"
        return "\n".join([begin, r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", r"\end{tabular}", ""])


def run_tables(run: Run) -> Iterator[tuple[str, Table]]:
    """Name and content of every table that a run has data for."""
    yield "errors", error_table(run)
    if split := run.predictions:
        yield "errors_by_element", group_table(errors_by_element(split), "element", "atoms")
        if groups := errors_by_type(split):
            yield "errors_by_type", group_table(groups, "configuration type", "frames")
    if run.signatures:
        yield "changes", change_table(run.block_signatures)
    if rows := run.element_signatures:
        yield "changes_by_element", change_table(rows)
    for by, groups_of in run.attributions.items():
        yield f"attribution_{by}", attribution_table(by, groups_of)


def error_table(run: Run) -> Table:
    """Errors of the base, of the base with refitted reference energies, and after fine-tuning, on every split."""
    header = ["split", "error", "unit", "base", "base, references refitted", "fine-tuned", "fine-tuned / refitted"]
    rows = []
    for split in run.splits:
        for error in shown_errors():
            values = [errors[split].get(error.name) for errors in run.metrics.stages.values()]
            if values[2] is not None:
                ratio = values[2] / values[1] if values[1] else None
                rows.append([split, error.title, error.unit, *(number(value, 4) for value in values), number(ratio, 2)])
    return Table(header, rows)


def group_table(groups: Sequence[GroupErrors], title: str, counted: str) -> Table:
    """Errors per group before and after; energies only where groups have them."""
    header = [title, counted, "force MAE before (meV/Angstrom)", "after"]
    rows = [[g.name, f"{g.count:,}", number(g.force_before), number(g.force_after)] for g in groups]
    if any(group.energy_after is not None for group in groups):
        header += ["energy MAE before (meV/atom)", "after"]
        for row, g in zip(rows, groups, strict=True):
            row += [number(g.energy_before), number(g.energy_after)]
    return Table(header, rows)


def change_table(rows: Sequence[SignatureRow]) -> Table:
    """Signatures, from the embedding to the readout."""
    header = ["layer", "role", "path", "changed", "of", "fraction", "relative norm", "1 - R\u00b2", "sign balance"]
    lines = []
    elements = any(row.element is not None for row in rows)
    for row in sorted(rows, key=lambda row: layer_order(row.layer)):
        place = [layer_name(row.layer), row.role.replace("_", " "), row.path]
        counts = [f"{row.n_changed:,}", f"{row.n_weights:,}", percent(row.fraction)]
        sizes = [percent(row.relative_norm), number(row.one_minus_r2), number(row.sign_balance)]
        first = [chemical_symbols[row.element or 0]] if elements else []
        lines.append([*first, *place, *counts, *sizes])
    return Table(["element", *header] if elements else header, lines)


def attribution_table(by: str, rows: Sequence[AttributionRow]) -> Table:
    """Differences of errors without each group and with it alone."""
    units = {"force": "meV/Angstrom", "energy": "meV/atom"}
    header = [by, "changed weights"]
    header += [f"{error} {kind} ({unit})" for error, unit in units.items() for kind in ("without it", "it alone")]
    lines = [
        [group_name(by, row.group), f"{row.n_changed:,}", *(_interval(value) for value in _differences(row))]
        for row in rows
    ]
    return Table(header, lines)


def group_name(by: str, group: str | int) -> str:
    """A group of an attribution as people say it."""
    return layer_name(int(group)) if by == "layer" else str(group)


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits, or a dash.

    >>> number(1234.5678), number(0.012345), number(None)
    ('1,230', '0.0123', '-')
    """
    if value is None:
        return "-"
    text = f"{value:.{digits}g}"
    return f"{float(text):,.0f}" if abs(value) >= 10**digits or "e+" in text else text


def percent(value: float | None) -> str:
    """A fraction in percent, or a dash.

    >>> percent(0.0301)
    '3.01 %'
    """
    return "-" if value is None else f"{number(100 * value)} %"


def _differences(row: AttributionRow) -> list[Interval | None]:
    """Differences of errors in the order of the columns."""
    return [
        row.difference("without", "force"),
        row.difference("alone", "force"),
        row.difference("without", "energy"),
        row.difference("alone", "energy"),
    ]


def _interval(interval: Interval | None) -> str:
    """Such as ``1.2 (0.9 to 1.5)``."""
    if interval is None:
        return "-"
    return f"{number(interval.value)} ({number(interval.low)} to {number(interval.high)})"


def _escaped(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_LATEX.get(sign, sign) for sign in str(text))
