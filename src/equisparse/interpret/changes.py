"""Changed weights of an adapter, block by block, from the adapter alone: no base model is needed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from equisparse.adapters.adapter import NOT_MERGEABLE, Adapter
from equisparse.blocks import Block
from equisparse.errors import InputError
from equisparse.formats.base import AbstractWeightFormat


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """Change of one block.

    Parameters
    ----------
    tensor, layer, role, path, l, parity
        As in `equisparse.blocks.Block`.
    n_weights, n_changed : int
        Number of weights of the block, and of those that the adapter changes.
    fraction : float
        ``n_changed / n_weights``.
    rms_change, largest : float
        Root mean square over all weights of the block, and largest magnitude. For an additive format of
        the stored values, in the unit of the weights; for a multiplicative one (`scales`) of the relative change.
    """

    tensor: str
    layer: int
    role: str
    path: str
    l: int  # noqa: E741  the name that Block uses
    parity: int
    n_weights: int
    n_changed: int
    fraction: float
    rms_change: float
    largest: float


@dataclass(frozen=True, slots=True)
class ChangeTotals:
    """Change of several blocks together.

    Parameters
    ----------
    key : tuple of str or int
        What the blocks have in common.
    n_weights, n_changed, fraction, rms_change, largest
        As in `ChangeRow`, over all blocks.
    """

    key: tuple[str | int, ...]
    n_weights: int
    n_changed: int
    fraction: float
    rms_change: float
    largest: float


def change_table(adapter: Adapter) -> list[ChangeRow]:
    """One row per block of the layout, in its order; tensors without stored values are unchanged.

    A stored change that is too small to alter the rounded weight of a base counts here, but not in
    `equisparse.adapters.adapter.count_changes`, which counts on the base itself.
    """
    return [_row(block, change) for block, change in block_changes(adapter)]


def block_changes(adapter: Adapter) -> Iterator[tuple[Block, Tensor | None]]:
    """Each block of the layout with its change, float64, of its shape; None if nothing is stored for it."""
    for tensor in adapter.layout.tensors:
        change = _change(adapter, tensor)
        for block in adapter.layout.of(tensor):
            yield block, None if change is None else block.view(change)


def check_changes_weights(adapter: Adapter) -> None:
    """Check that the method of an adapter changes weights.

    Raises
    ------
    InputError
        If it does not.
    """
    if not adapter.mergeable:
        raise InputError(
            "This adapter changes no weights.",
            given=f"an adapter of the method {adapter.label}",
            expected="a method that changes weights",
            cause=NOT_MERGEABLE,
            next_step="see the changes of the layers' outputs in the report of its run",
        )


def aggregate(rows: Iterable[ChangeRow], by: Sequence[str] = ("layer",)) -> list[ChangeTotals]:
    """Add up rows with equal fields `by`, sorted by these fields."""
    groups: dict[tuple[str | int, ...], list[ChangeRow]] = {}
    for row in rows:
        groups.setdefault(tuple(getattr(row, name) for name in by), []).append(row)
    return [_totals(key, groups[key]) for key in sorted(groups)]


def _change(adapter: Adapter, tensor: str) -> Tensor | None:
    """Change of every weight of a tensor, float64; None if nothing is stored for it, or no weight changes.

    The method applied to a weight of zero gives an added change exactly; applied to a weight of one, a relative change.
    """
    if tensor not in adapter.stored or not isinstance(adapter.format, AbstractWeightFormat):
        return None
    zero = torch.zeros(adapter.layout.tensor_shapes[tensor], dtype=torch.float64)
    stored, blocks = adapter.stored[tensor], adapter.layout.of(tensor)
    added = adapter.format.apply(zero, stored, blocks)
    return torch.where(added != 0, added, adapter.format.apply(zero + 1, stored, blocks) - 1)


def _row(block: Block, change: Tensor | None) -> ChangeRow:
    """Row of one block from its change."""
    values = torch.zeros(1, dtype=torch.float64) if change is None else change
    changed = int(values.count_nonzero())
    return ChangeRow(
        tensor=block.tensor,
        layer=block.layer,
        role=block.role,
        path=block.path,
        l=block.l,
        parity=block.parity,
        n_weights=block.numel,
        n_changed=changed,
        fraction=changed / block.numel,
        rms_change=float(values.square().mean().sqrt()),
        largest=float(values.abs().max()),
    )


def _totals(key: tuple[str | int, ...], rows: list[ChangeRow]) -> ChangeTotals:
    """Counts, fraction, root mean square and largest change of several blocks together."""
    weights, changed = sum(row.n_weights for row in rows), sum(row.n_changed for row in rows)
    squares = sum(row.rms_change**2 * row.n_weights for row in rows)
    largest = max(row.largest for row in rows)
    return ChangeTotals(key, weights, changed, changed / weights, (squares / weights) ** 0.5, largest)
