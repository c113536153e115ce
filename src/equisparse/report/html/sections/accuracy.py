"""Errors on every split, parity plots of the judged one, errors per element and per configuration type."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from ase.data import chemical_symbols
from markupsafe import Markup

from equisparse.report.html import elements, plots
from equisparse.report.paper.figures import AFTER, BEFORE
from equisparse.report.statistics import GroupErrors, errors_by_element, errors_by_type
from equisparse.report.tables import error_table, group_table
from equisparse.run.folder import Run
from equisparse.run.predictions import Floats, Integers, SplitPredictions
from equisparse.units import GPA_PER_EV_PER_ANG3

_WORST, _RANDOM = 400, 1600
"""Points of a parity plot where there are more than their sum: those with the largest errors, and a random part."""
_VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")
_ROWS, _COLUMNS = [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]
"""Components of a symmetric matrix: names, and where they are."""


def accuracy(run: Run) -> Markup:
    """Error table, parity plots, errors per group."""
    parts = [elements.table(*error_table(run))]
    if split := run.predictions:
        makers = (_energy_parity, _force_parity, _stress_parity, _moment_parity)
        parity = [plot for make in makers for plot in make(split, run.judged)]
        parts.append(Markup('<div class="pair">{}</div>').format(Markup("").join(parity)))
        parts += _groups(errors_by_element(split), "element", "atoms")
        parts += _groups(errors_by_type(split), "configuration type", "frames")
    return Markup("").join(parts)


def _energy_parity(split: SplitPredictions, name: str) -> Iterator[Markup]:
    """Energies per atom less their mean."""
    known = np.flatnonzero(np.isfinite(split.energy))
    if not known.size:
        return
    energies = [(values / split.n_atoms)[known] for values in (split.energy, split.energy_before, split.energy_after)]
    reference, before, after = (values - energies[0].mean() for values in energies)
    chosen = _chosen(np.maximum(abs(before - reference), abs(after - reference)))
    hover = [_frame_label(split, frame) for frame in known[chosen]]
    figure = plots.parity(
        reference[chosen], before[chosen], after[chosen], unit="eV/atom", hover=hover, frames=known[chosen]
    )
    caption = f"Energy per atom less its mean, {name} frames. {_sampling(len(chosen), known.size, 'frames')}"
    yield elements.plot(figure, caption, height=440, hook="parity")


def _force_parity(split: SplitPredictions, name: str) -> Iterator[Markup]:
    """Force components."""
    values = [forces.reshape(-1) for forces in (split.forces, split.forces_before, split.forces_after)]

    def labels(places: Integers) -> tuple[list[str], Integers]:
        return _component_labels(split, places), split.frame_of_atom[places // 3]

    yield from _components(values, f"Force components, {name} frames.", "eV/Angstrom", labels)


def _stress_parity(split: SplitPredictions, name: str) -> Iterator[Markup]:
    """Stress components, in GPa."""
    stresses = (split.stress, split.stress_before, split.stress_after)
    values = [GPA_PER_EV_PER_ANG3 * stress[:, _ROWS, _COLUMNS].reshape(-1) for stress in stresses]

    def labels(places: Integers) -> tuple[list[str], Integers]:
        frames, components = np.divmod(places, len(_VOIGT))
        return [f"{_frame_label(split, f)}<br>{_VOIGT[c]}" for f, c in zip(frames, components, strict=True)], frames

    yield from _components(values, f"Stress components, {name} frames.", "GPa", labels)


def _moment_parity(split: SplitPredictions, name: str) -> Iterator[Markup]:
    """Components of magnetic moments; before training they are the input spins."""
    if split.moments is None or split.moments_before is None or split.moments_after is None:
        return
    values = [part.reshape(-1) for part in (split.moments, split.moments_before, split.moments_after)]

    def labels(places: Integers) -> tuple[list[str], Integers]:
        return _component_labels(split, places), split.frame_of_atom[places // 3]

    yield from _components(values, f"Moment components, {name} frames; base: the input spins.", "muB", labels)


def _components(
    values: Sequence[Floats], caption: str, unit: str, labels: Callable[[Integers], tuple[list[str], Integers]]
) -> Iterator[Markup]:
    """Parity plot of what has many components; `labels` gives hover text and frame of components by their places."""
    reference, before, after = values
    known = np.flatnonzero(np.isfinite(reference))
    if known.size:
        chosen = known[_chosen(np.maximum(abs(before - reference), abs(after - reference))[known])]
        hover, frames = labels(chosen)
        parts = (part[chosen] for part in (reference, before, after))
        figure = plots.parity(*parts, unit=unit, hover=hover, frames=frames)
        text = f"{caption} {_sampling(len(chosen), known.size, 'components')}"
        yield elements.plot(figure, text, height=440, hook="parity")


def _groups(groups: list[GroupErrors], title: str, counted: str) -> Iterator[Markup]:
    """Bars of force errors and a table of all errors per group."""
    if not groups:
        return
    yield Markup("<h3>Errors per {}</h3>").format(title)
    forces = [group for group in groups if group.force_after is not None]
    if forces:
        series = {"base": [g.force_before for g in forces], "fine-tuned": [g.force_after for g in forces]}
        figure = plots.grouped_bars(
            [g.name for g in forces], series, unit="force MAE (meV/Angstrom)", colors=(BEFORE, AFTER)
        )
        yield elements.plot(figure, f"Mean absolute force error per {title}, before and after.", height=320)
    yield elements.table(*group_table(groups, title, counted))


def _chosen(errors: Floats) -> Integers:
    """Places of the worst points and of a random part of the rest, rising; all if there are few."""
    if len(errors) <= _WORST + _RANDOM:
        return np.arange(len(errors))
    order = np.argsort(-errors, kind="stable")
    rest = np.random.default_rng(0).choice(order[_WORST:], _RANDOM, replace=False)
    return np.sort(np.concatenate([order[:_WORST], rest]))


def _sampling(shown: int, total: int, what: str) -> str:
    """Whether all points are there; what a click does."""
    sample = (
        f"{shown:,} of {total:,} {what}: the {_WORST} worst and a random part of the rest. " if shown < total else ""
    )
    return f"{sample}A click on a point shows its frame below, if it is among the worst."


def _frame_label(split: SplitPredictions, frame: int) -> str:
    """Such as ``frame 3 (compressed), Mg4O4 is frame 3 of test.xyz``."""
    kind = f" ({split.config_type[frame]})" if split.config_type[frame] else ""
    return f"frame {frame}{kind}, number {split.index[frame]} of {split.source[frame]}"


def _component_labels(split: SplitPredictions, places: Integers) -> list[str]:
    """Frame, atom and direction of force components given by their places in the flattened array."""
    atoms, axes = np.divmod(places, 3)
    frames = split.frame_of_atom[atoms]
    first = np.concatenate([[0], np.cumsum(split.n_atoms)[:-1]])[frames]
    return [
        f"{_frame_label(split, frame)}<br>atom {atom - start} ({chemical_symbols[split.numbers[atom]]}), {'xyz'[axis]}"
        for frame, atom, start, axis in zip(frames, atoms, first, axes, strict=True)
    ]
