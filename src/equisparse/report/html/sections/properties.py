"""Results of `equisparse properties`: materials and molecules before and after the fine-tune."""

from collections.abc import Sequence

from markupsafe import Markup

from equisparse.observables.rows import BandPoint, PropertyRow, StructureRow
from equisparse.report.html import elements, property_plots
from equisparse.report.property_tables import property_table, shown_properties
from equisparse.run.folder import Run
from equisparse.run.properties import PropertiesFolder
from equisparse.wording import counted

_NOTE = (
    "Each model relaxes each structure; crystals are then reduced to their primitive cell. Energies of both models "
    "contain the reference energies that were fitted to the training frames. Changes are relative to the base, errors "
    "relative to the reference values."
)
_NO_CHARGES = "Negative frequencies are imaginary. The models have no splitting of optical bands by the electric field."


def properties(run: Run) -> Markup | None:
    """Tables, equations of state, phonon bands and frequencies, structure by structure."""
    files = run.files.properties
    states, rows = files.structures.read(), files.values.read()
    if not states:
        return None
    parts = [elements.paragraph(_NOTE)]
    for name in dict.fromkeys(state.structure for state in states):
        own = [row for row in rows if row.structure == name]
        parts.append(_structure(files, [state for state in states if state.structure == name], own))
    return Markup("").join(parts)


def _structure(files: PropertiesFolder, states: Sequence[StructureRow], rows: Sequence[PropertyRow]) -> Markup:
    """All results of one structure."""
    name = states[0].structure
    html = Markup("<h3>{}</h3>").format(name) + elements.paragraph(_relaxed(states))
    if notes := [f"{state.model}: {state.notes}" for state in states if state.notes]:
        html += elements.listing(notes)
    if rows:
        html += elements.table(property_table(shown_properties(rows)))
    curves = _volumes(files, name, rows) + _bands(files, name) + _radial(files, name)
    return html + curves + _frequencies(name, rows)


def _relaxed(states: Sequence[StructureRow]) -> str:
    """Kind and symmetry of a structure in words."""
    first = states[0]
    text = f"A {first.kind} of {counted(first.n_atoms, 'atom')}" if first.kind != "atom" else "An atom"
    found = [f"{state.symmetry} with the {state.model} model" for state in states if state.symmetry]
    if len(found) > 1 and len({state.symmetry for state in states}) == 1:
        found = [f"{first.symmetry} with both models"]
    return text + (f"; space group {', '.join(found)}." if found else ".")


def _volumes(files: PropertiesFolder, name: str, rows: Sequence[PropertyRow]) -> Markup:
    """Equation of state."""
    points = [point for point in files.volumes.read() if point.structure == name]
    if not points:
        return Markup("")
    reference = next((row.reference for row in rows if row.name == "volume_ang3_per_atom"), None)
    caption = f"Equation of state of {name}: energy against volume, with relaxed atoms and shape of the cell."
    return elements.plot(property_plots.volumes(points, reference), caption, height=320)


def _bands(files: PropertiesFolder, name: str) -> Markup:
    """Phonon bands: one figure if both models have the same path of special points, else one per model."""
    points = [point for point in files.bands.read() if point.structure == name]
    by_model: dict[str, list[BandPoint]] = {}
    for point in points:
        by_model.setdefault(point.model, []).append(point)
    groups = {" and ".join(by_model): points}
    if len({tuple(property_plots.special_points(own).items()) for own in by_model.values()}) > 1:
        groups = dict(by_model)
    html = Markup("")
    for models, own in groups.items() if points else ():
        caption = f"Phonon bands of {name}, {models}. {_NO_CHARGES}"
        html += elements.plot(property_plots.bands(own), caption, height=420)
    return html


def _radial(files: PropertiesFolder, name: str) -> Markup:
    """Radial distribution functions."""
    points = [point for point in files.radial.read() if point.structure == name]
    if not points:
        return Markup("")
    caption = f"Radial distribution function of {name}, all elements, from molecular dynamics with both models."
    if any(point.source == "frames" for point in points):
        caption += " That of the frames of the run is comparable if they are from dynamics at the same temperature."
    return elements.plot(property_plots.radial(points), caption, height=320)


def _frequencies(name: str, rows: Sequence[PropertyRow]) -> Markup:
    """Vibrations of a molecule."""
    modes = [row for row in rows if row.is_mode]
    if not modes:
        return Markup("")
    caption = f"Harmonic frequencies of {name}, lowest first; negative ones are imaginary."
    return elements.plot(property_plots.frequencies(modes), caption, height=340) + elements.folded(
        "All frequencies", elements.table(property_table(modes))
    )
