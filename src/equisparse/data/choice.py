"""Labels of one frame out of everything that it stores; candidates that contradict each other are found."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from equisparse.data.audit.finding import format_frames
from equisparse.data.conversion import converted, difference
from equisparse.data.frames import Floats
from equisparse.data.labels import SPINS, LabelKeys, LabelUnits
from equisparse.data.magnetic import read_spins
from equisparse.data.stored import Stored, StoredValue, numbers
from equisparse.data.weights import FrameWeights, read_weights
from equisparse.errors import DataError
from equisparse.quantities import MOMENTS, STRESS, Quantity, all_quantities


@dataclass(frozen=True, eq=False)
class Contradiction:
    """Two stored values of one label that differ.

    Parameters
    ----------
    quantity : Quantity
    first, second : StoredValue
    difference : float
        Largest difference, in the unit of the quantity; NaN if their shapes differ.
    ratio : float
        Size of the second, with its sign, relative to the first; NaN if their shapes differ.
    """

    quantity: Quantity
    first: StoredValue
    second: StoredValue
    difference: float
    ratio: float


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """Labels of one frame.

    Parameters
    ----------
    labels : dict of Quantity to array
        In the units of their quantities; a quantity without a label is absent.
    spins : array, shape (n_atoms,) or (n_atoms, 3), muB, or None
        Input spins as stored: numbers are along z.
    names : dict of str to str
        Name of a quantity, or `SPINS` -> name under which it is stored.
    weights : dict of Quantity to float
        Weights in the loss that are not 1; a label with weight 0 is absent.
    stored : tuple of str
        Names of all values that were read as labels.
    contradictions : tuple of Contradiction
    """

    labels: dict[Quantity, Floats]
    spins: Floats | None
    names: dict[str, str]
    weights: dict[Quantity, float]
    stored: tuple[str, ...]
    contradictions: tuple[Contradiction, ...]


def read_labels(stored: Stored, keys: LabelKeys, units: LabelUnits, n_atoms: int, volume: float) -> FrameLabels:
    """Labels, weights and input spins of one frame.

    Parameters
    ----------
    stored : dict
        From `stored_values`.
    keys : LabelKeys
        Names of the labels; of several usual names, the first has the label, and the others have to agree with it.
    units : LabelUnits
        What the values of energy, forces, stress and magnetic forces mean; other quantities are stored in their unit.
    n_atoms : int
    volume : float
        Of the cell, Angstrom^3; 0 if there is none.

    Raises
    ------
    DataError
        If a value is not numeric, has the wrong shape, or a virial has no cell, or a weight cannot be used.
    """
    weights, found = read_weights(stored), _candidates(stored, keys)
    used = {what: _weighted(what, values, weights) for what, values in found.items()}
    names = {what: values[0].name for what, values in used.items() if values}
    values = {what: [numbers(value) for value in candidates] for what, candidates in used.items() if candidates}
    labels: dict[Quantity, Floats] = {}
    contradictions: list[Contradiction] = []
    for quantity in all_quantities():
        if quantity.name not in values:
            continue
        read = values[quantity.name]
        if quantity != MOMENTS:
            named = [(array, value.name) for array, value in zip(read, used[quantity.name], strict=True)]
            read = [converted(quantity, array, name, units, n_atoms, volume) for array, name in named]
            labels[quantity] = read[0]
        contradictions += _contradictions(quantity, used[quantity.name], read, n_atoms)
    spins, moments = (values.get(what, [None])[0] for what in (SPINS, MOMENTS.name))
    spins, moments = read_spins(names, spins, moments, n_atoms)
    return FrameLabels(
        labels=labels if moments is None else labels | {MOMENTS: moments},
        spins=spins,
        names=names,
        weights=_label_weights(found, names, weights),
        stored=tuple(value.name for candidates in found.values() for value in candidates),
        contradictions=tuple(contradictions),
    )


def require_agreement(source: str, contradictions: Sequence[tuple[int, Contradiction]]) -> None:
    """Refuse labels that are stored more than once with different values.

    Parameters
    ----------
    source : str
        File of the frames.
    contradictions : sequence of (int, Contradiction)
        Index of a frame in the file, and what is found in it.

    Raises
    ------
    DataError
        With both names, the frames, and how to choose.
    """
    groups: dict[tuple[str, str], list[tuple[int, Contradiction]]] = defaultdict(list)
    for index, found in contradictions:
        groups[str(found.first), str(found.second)].append((index, found))
    if not groups:
        return
    firsts = [group[0][1] for group in groups.values()]
    whats = list(dict.fromkeys(found.quantity.name for found in firsts))
    raise DataError(
        f"{source}: {' and '.join(whats)} stored more than once, with different values.",
        given="; ".join(map(_described, groups.values())),
        expected="one value of each label, or equal ones",
        cause=_cause(firsts),
        next_step=_choice(firsts),
    )


def _candidates(stored: Stored, keys: LabelKeys) -> dict[str, list[StoredValue]]:
    """Stored values under the given name, or else under all usual names, by name of the quantity or `SPINS`."""
    given = {what: (name,) for what, name in keys.given().items()}
    found = {
        what: [value for name in names for value in stored.get(name, ())]
        for what, names in (keys.usual() | given).items()
    }
    if SPINS in found and SPINS not in given:  # one number under such a name is the spin of the whole frame
        found[SPINS] = [value for value in found[SPINS] if np.iterable(value.value)]
    return found


def _weighted(what: str, values: list[StoredValue], weights: FrameWeights) -> list[StoredValue]:
    """The values whose weight is not 0; of spins, the first value."""
    if what == SPINS:
        return values[:1]
    quantity = _quantity(what)
    return [value for value in values if weights.of(quantity, value.name) > 0]


def _label_weights(
    found: dict[str, list[StoredValue]], names: dict[str, str], weights: FrameWeights
) -> dict[Quantity, float]:
    """Weights other than 1 of the labels that a frame stores."""
    chosen = {what: names.get(what, values[0].name) for what, values in found.items() if values and what != SPINS}
    pairs = {_quantity(what): weights.of(_quantity(what), name) for what, name in chosen.items()}
    return {quantity: weight for quantity, weight in pairs.items() if weight != 1.0}


def _quantity(name: str) -> Quantity:
    """Registered quantity of a name."""
    return next(quantity for quantity in all_quantities() if quantity.name == name)


def _contradictions(
    quantity: Quantity, stored: Sequence[StoredValue], read: Sequence[Floats], n_atoms: int
) -> Iterable[Contradiction]:
    """Find values that differ from the first one."""
    for value, other in zip(stored[1:], read[1:], strict=True):
        apart = difference(quantity, read[0], other, n_atoms)
        if apart is not None:
            yield Contradiction(quantity, stored[0], value, apart, _ratio(read[0], other))


def _ratio(first: Floats, second: Floats) -> float:
    """Size of the second array relative to the first, with the sign of their product."""
    if first.shape != second.shape or not first.any():
        return float("nan")
    return float(np.sign((first * second).sum()) * np.sqrt((second**2).sum() / (first**2).sum()))


def _described(group: Sequence[tuple[int, Contradiction]]) -> str:
    """Names, frames, and the difference in the first frame."""
    index, found = group[0]
    frames = format_frames([number for number, _ in group])
    return (
        f"{found.first} and {found.second} differ in frames {frames}, in frame {index} by "
        f"{found.difference:.3g} {found.quantity.unit} (ratio {found.ratio:.3g})"
    )


def _cause(found: Sequence[Contradiction]) -> str:
    """Likely cause."""
    kinds = [{"virial" in value.name.lower() for value in (one.first, one.second)} for one in found]
    if any(one.quantity == STRESS and len(kind) == 2 for one, kind in zip(found, kinds, strict=True)):
        return "another sign, unit or volume: stress = -virial / volume, in eV/Angstrom^3 and eV"
    return "results of another calculator or level of theory beside the labels"


def _choice(found: Sequence[Contradiction]) -> str:
    """How to choose one of the values."""
    options = [
        f"--{one.quantity.name.replace('_', '-')}-key {one.first.name} or {one.second.name}"
        for one in found
        if one.first.name != one.second.name
    ]
    remove = "remove the wrong values from the file"
    return f"name the right ones: {', '.join(options)}; or {remove}" if options else remove
