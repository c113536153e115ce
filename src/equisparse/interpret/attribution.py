"""Causal attribution: effect of each group of changed weights on the errors, by removing it and by keeping only it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray
from torch import Tensor, nn

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.attach import written
from equisparse.blocks import Block, Layout
from equisparse.errors import InputError
from equisparse.interpret.bootstrap import resampled_interval
from equisparse.interpret.changes import check_changes_weights
from equisparse.interpret.signatures import element_parts

Floats = NDArray[np.float64]

GROUPINGS: Mapping[str, Callable[[Block], str | int]] = {
    "layer": lambda block: block.layer,
    "l": lambda block: block.l,
    "role": lambda block: block.role,
    "path": lambda block: f"{block.role} {block.path}",
    "block": lambda block: f"{block.tensor} {block.path}",
}
"""Ways to group blocks, by name."""
ELEMENT = "element"
"""Grouping by element, which divides blocks with an element axis."""


@dataclass(frozen=True, eq=False)
class FrameErrors:
    """Absolute errors of one model for each frame; NaN without a label.

    Parameters
    ----------
    energy : array, shape (n_frames,)
        meV/atom.
    force : array, shape (n_frames,)
        Mean over the components of the frame, meV/Angstrom.
    n_atoms : array, shape (n_frames,)
    """

    energy: Floats
    force: Floats
    n_atoms: NDArray[np.int64]


ErrorName = Literal["force", "energy"]
"""Errors that are attributed."""


class Interval(NamedTuple):
    """A value with the limits of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AttributionRow:
    """Effect of one group of changed weights on the errors.

    Parameters
    ----------
    group : str or int
        A layer, a degree l, a role, a role with its path, a block, or an element.
    n_changed, n_frames : int
        Number of changed weights in the group, and of the frames on which errors are measured.
    without_force, without_energy : float or None
        Error of the adapted model with this group reset to the base, minus the error of the adapted model, meV/Angstrom
        and meV/atom: positive if the group helps.
    alone_force, alone_energy : float or None
        Error of the base with only this group changed, minus the error of the base: negative if the group helps.
    *_low, *_high : float or None
        95 % interval over resampled frames.
    """

    group: str | int
    n_changed: int
    n_frames: int
    without_force: float | None
    without_force_low: float | None
    without_force_high: float | None
    without_energy: float | None
    without_energy_low: float | None
    without_energy_high: float | None
    alone_force: float | None
    alone_force_low: float | None
    alone_force_high: float | None
    alone_energy: float | None
    alone_energy_low: float | None
    alone_energy_high: float | None

    def difference(self, kind: Literal["without", "alone"], error: ErrorName) -> Interval | None:
        """One difference of errors with its interval; None without labels."""
        value, low, high = (getattr(self, f"{kind}_{error}{end}") for end in ("", "_low", "_high"))
        return None if value is None else Interval(value, low, high)


def group_blocks(layout: Layout, by: str, elements: Sequence[int] | None = None) -> dict[str | int, list[Block]]:
    """Blocks of a layout by group, in the order of the layout.

    Parameters
    ----------
    layout : Layout
    by : str
        One of `GROUPINGS`, or ``element`` for the parts of blocks with an element axis.
    elements : sequence of int, optional
        Atomic numbers in the order of element axes.

    Raises
    ------
    InputError
        If there is no such grouping, or no element axis.
    """
    check_grouping(by)
    groups: dict[str | int, list[Block]] = {}
    if by == ELEMENT:
        for block in layout:
            for element, part in element_parts(block, elements):
                groups.setdefault(chemical_symbols[element], []).append(part)
        if not groups:
            raise InputError(
                "The changed tensors have no element axis.", given="--by element", next_step="use --by path"
            )
        return groups
    for block in layout:
        groups.setdefault(GROUPINGS[by](block), []).append(block)
    return groups


def check_grouping(by: str) -> None:
    """Raise InputError if `by` is not the name of a grouping."""
    if by not in (*GROUPINGS, ELEMENT):
        raise InputError(
            "There is no such grouping.",
            given=by,
            expected=", ".join((*GROUPINGS, ELEMENT)),
            next_step="give one of these, for example --by layer",
        )


def attribute(
    adapter: Adapter, model: nn.Module, groups: Mapping[str | int, Sequence[Block]], errors: Callable[[], FrameErrors]
) -> list[AttributionRow]:
    """Measure errors without each group of the change, and with only that group.

    It takes two evaluations per group, and two more.

    Parameters
    ----------
    adapter : Adapter
    model : Module
        The untouched base; untouched again afterwards, bit for bit.
    groups : mapping
        From `group_blocks`.
    errors : callable
        Function that returns the errors of the present weights of `model`.

    Returns
    -------
    list of AttributionRow
        One per group that has changed weights, in the order of the groups.

    Raises
    ------
    InputError
        If the method of the adapter changes no weights.
    """
    check_changes_weights(adapter)
    base = {name: model.get_parameter(name).detach().clone() for name in adapter.layout.tensors}
    changed = base | adapter.weights(model)
    untouched = errors()
    with written(model, changed):
        whole = errors()
    rows = []
    for group, blocks in groups.items():
        count = _count(base, changed, blocks)
        if count:
            with written(model, exchanged(changed, base, blocks)):
                without = errors()
            with written(model, exchanged(base, changed, blocks)):
                alone = errors()
            rows.append(_row(group, count, (without, whole), (alone, untouched)))
    return rows


def exchanged(weights: Mapping[str, Tensor], other: Mapping[str, Tensor], blocks: Sequence[Block]) -> dict[str, Tensor]:
    """Copies of `weights` that have the values of `other` in some blocks."""
    result = {name: weight.clone() for name, weight in weights.items()}
    for block in blocks:
        block.view(result[block.tensor]).copy_(block.view(other[block.tensor]))
    return result


def _count(base: Mapping[str, Tensor], changed: Mapping[str, Tensor], blocks: Sequence[Block]) -> int:
    """Number of changed weights in some blocks."""
    views = ((block.view(base[block.tensor]), block.view(changed[block.tensor])) for block in blocks)
    return sum(int(torch.count_nonzero(before != after)) for before, after in views)


def _row(
    group: str | int,
    count: int,
    without: tuple[FrameErrors, FrameErrors],
    alone: tuple[FrameErrors, FrameErrors],
) -> AttributionRow:
    """Row of a group from the pairs of errors whose differences it contains."""
    values: list[float | None] = []
    for first, second in (without, alone):
        values += _difference(first.force - second.force, first.n_atoms)
        values += _difference(first.energy - second.energy, np.ones_like(first.n_atoms))
    return AttributionRow(group, count, len(without[0].n_atoms), *values)


def _difference(differences: Floats, weights: NDArray[np.int64]) -> tuple[float | None, float | None, float | None]:
    """Weighted mean over frames, with its interval; None without labels."""
    known = np.isfinite(differences)
    if not known.any():
        return None, None, None
    rows = np.column_stack([differences[known] * weights[known], weights[known]])
    return resampled_interval(rows, lambda sums: np.asarray(sums[..., 0] / sums[..., 1]))
