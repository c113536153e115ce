"""Points of parity plots: components of labels and predictions, with their atom or frame."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from equisparse.quantities import Quantity, all_quantities
from equisparse.run.predictions import Floats, Integers, SplitPredictions

_AXES = ("x", "y", "z")
_VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")
_VOIGT_PLACES = (0, 4, 8, 5, 2, 1)
"""Independent components of a symmetric matrix: names, and places in the flattened matrix."""


@dataclass(frozen=True, eq=False)
class ParityPoints:
    """Components with a label of one quantity on one split, in the unit of its plots.

    Parameters
    ----------
    quantity : Quantity
    reference, before, after : array, shape (n,)
        Labels and predictions; the mean label is subtracted if the quantity is extensive.
    items, components : array of int, shape (n,)
        Frame or atom, and component, of each point.
    """

    quantity: Quantity
    reference: Floats
    before: Floats
    after: Floats
    items: Integers
    components: Integers

    @property
    def title(self) -> str:
        """Name of the points, such as ``force components``."""
        if self.quantity.extensive:
            return f"{self.quantity.title} per atom minus its mean"
        return f"{self.quantity.title} components" if self.quantity.shape else self.quantity.title

    @property
    def axis(self) -> str:
        """Label of an axis, with its unit, such as ``force component (eV/Angstrom)``."""
        if self.quantity.extensive:
            return f"{self.quantity.title} minus its mean ({self.quantity.plot_unit})"
        return f"{self.title.removesuffix('s')} ({self.quantity.plot_unit})"

    def frames(self, split: SplitPredictions) -> Integers:
        """Frame of each point."""
        return split.frame_of_atom[self.items] if self.quantity.per == "atom" else self.items

    def names(self, split: SplitPredictions) -> list[str]:
        """Atom and component of each point, such as ``atom 3 (O), x``; empty for one number per frame."""
        components = _component_names(self.quantity)
        if self.quantity.per == "frame":
            return [components[component] for component in self.components]
        frames = self.frames(split)
        first = np.concatenate([[0], np.cumsum(split.n_atoms)[:-1]])
        return [
            ", ".join(filter(None, (f"atom {atom - first[frame]} ({chemical_symbols[split.numbers[atom]]})", name)))
            for atom, frame, name in zip(self.items, frames, (components[c] for c in self.components), strict=True)
        ]

    def at(self, places: Integers) -> "ParityPoints":
        """Points at the given places."""
        values = (self.reference[places], self.before[places], self.after[places])
        return ParityPoints(self.quantity, *values, self.items[places], self.components[places])


def parity_points(split: SplitPredictions) -> Iterator[ParityPoints]:
    """Points of every quantity with labels, in the order of tables."""
    for quantity in all_quantities():
        if quantity in split.labels:
            points = _points(split, quantity)
            if len(points.reference):
                yield points


def _points(split: SplitPredictions, quantity: Quantity) -> ParityPoints:
    """Components of one quantity that have a label."""
    values = [_components(split, quantity, part[quantity]) for part in (split.labels, split.before, split.after)]
    known = np.isfinite(values[0])
    if quantity.measured_by == "length":  # leave out components that are zero by the choice of axes
        known &= np.any([np.nan_to_num(value) != 0 for value in values], axis=0)
    items, components = np.nonzero(known)
    reference, before, after = (value[known] for value in values)
    centre = float(reference.mean()) if quantity.extensive and len(reference) else 0.0
    return ParityPoints(quantity, reference - centre, before - centre, after - centre, items, components)


def _components(split: SplitPredictions, quantity: Quantity, values: Floats) -> Floats:
    """Independent components in the unit of plots, shape (n_frames or n_all_atoms, n_components)."""
    rows = split.per_atom(quantity, values).reshape(len(values), -1) * quantity.plot_factor
    return rows[:, _VOIGT_PLACES] if quantity.shape == (3, 3) else rows


def _component_names(quantity: Quantity) -> tuple[str, ...]:
    """Names of the independent components."""
    named = {(): ("",), (3,): _AXES, (3, 3): _VOIGT}
    return named.get(quantity.shape, tuple(str(component) for component in range(quantity.size)))
