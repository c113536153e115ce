"""Tables of properties before and after a fine-tune, for all media."""

from collections.abc import Sequence

from equisparse.observables.rows import PropertyRow, StructureRow
from equisparse.report.table import Cell, Number, Percent, Table


def property_table(rows: Sequence[PropertyRow], title: str = "") -> Table:
    """Properties of the base and of the fine-tuned model; with reference values if there are any.

    Parameters
    ----------
    rows : sequence of PropertyRow
    title : str
        Title of the table.
    """
    with_reference = any(row.reference is not None for row in rows)
    several = len({row.structure for row in rows}) > 1
    header = [*(["structure"] if several else []), "property", "unit", "base", "fine-tuned", "change"]
    header += ["reference", "error, base", "error, fine-tuned"] if with_reference else []
    lines = [_line(row, several=several, with_reference=with_reference) for row in rows]
    return Table(header, lines, title, grouped=several)


def shown_properties(rows: Sequence[PropertyRow]) -> list[PropertyRow]:
    """Rows of a short table: single vibrations only where they have a reference value, else the extreme ones."""
    shown = []
    for row in rows:
        modes = [other for other in rows if other.is_mode and other.structure == row.structure]
        if not row.is_mode or row.reference is not None or row in (modes[0], modes[-1]):
            shown.append(row)
    return shown


def structure_notes(rows: Sequence[StructureRow]) -> Table:
    """Kind, symmetry and notes of structures as both models relax them."""
    header = ["structure", "model", "kind", "atoms", "space group", "notes"]
    lines: list[list[Cell]] = [
        [row.structure, row.model, row.kind, row.n_atoms, row.symmetry or None, row.notes or None] for row in rows
    ]
    return Table(header, lines, "Relaxed structures", grouped=True)


def _line(row: PropertyRow, *, several: bool, with_reference: bool) -> list[Cell]:
    """Cells of one property."""
    numbers = [Number(value, "{:.4g}") for value in (row.base, row.adapted)]
    first: list[Cell] = [row.structure] if several else []
    change = None if row.name.startswith("energy") else _relative(row.adapted, row.base)  # its zero is arbitrary
    line = [*first, row.title, row.unit, *numbers, change]
    if with_reference:
        reference = row.reference
        line += [Number(reference, "{:.4g}"), _relative(row.base, reference), _relative(row.adapted, reference)]
    return line


def _relative(value: float | None, reference: float | None) -> Percent:
    """Difference of two values over the second; unknown if one is missing, or the second is zero."""
    if value is None or not reference:
        return Percent(None)
    return Percent((value - reference) / abs(reference), "{:+.1%}")
