"""Difference of two adapters of one base, block by block, from the adapters alone: no base model is needed."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from equisparse.adapters.adapter import Adapter
from equisparse.blocks import Block
from equisparse.errors import InputError
from equisparse.formats.base import AbstractWeightFormat
from equisparse.interpret.changes import block_changes, check_changes_weights

Key = tuple[str | int, ...]
"""Values that the rows of a group have in common."""

_SUMS = ("n_weights", "n_first", "n_second", "n_both", "product", "square_first", "square_second", "square_difference")
"""Fields of a `DifferenceRow` that add up over blocks."""


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """Changes of one block by two adapters.

    Parameters
    ----------
    tensor, layer, role, path
        As in `equisparse.blocks.Block`.
    n_weights : int
        Number of weights of the block.
    n_first, n_second, n_both : int
        Number of weights that the first, the second, and both adapters change.
    product, square_first, square_second, square_difference : float
        Sums over the block of products and squares of the changes, and of the squares of their difference. For
        additive formats in the unit of the weights; for a multiplicative one (`scales`) of the relative change.
    """

    tensor: str
    layer: int
    role: str
    path: str
    n_weights: int
    n_first: int
    n_second: int
    n_both: int
    product: float
    square_first: float
    square_second: float
    square_difference: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference of two adapters over several blocks.

    Parameters
    ----------
    n_weights, n_first, n_second, n_both : int
        As in `DifferenceRow`.
    jaccard : float
        Number of weights that both change divided by that of the weights that either changes; NaN if there are none.
    cosine : float
        Cosine of the angle between the two changes; NaN if one of them is zero.
    norm_first, norm_second, norm_difference : float
        Euclidean norms of the changes and of their difference.
    """

    n_weights: int
    n_first: int
    n_second: int
    n_both: int
    jaccard: float
    cosine: float
    norm_first: float
    norm_second: float
    norm_difference: float


def difference_table(first: Adapter, second: Adapter) -> list[DifferenceRow]:
    """One row per block of either layout; an adapter does not change blocks that are not in its layout.

    Raises
    ------
    AdapterMismatchError
        If the adapters belong to different bases or modalities.
    InputError
        If an adapter changes no weights, or one adds to weights and the other multiplies them.
    """
    _require_comparable(first, second)
    ones, twos = _by_block(first), _by_block(second)
    return [_row(block, ones.get(block), twos.get(block)) for block in dict.fromkeys([*ones, *twos])]


def differences(rows: Iterable[DifferenceRow], by: Sequence[str] = ()) -> Iterator[tuple[Key, Difference]]:
    """Sum rows with equal values of the fields `by`, in the order of first occurrence; all rows if `by` is empty."""
    groups: dict[Key, list[DifferenceRow]] = {}
    for row in rows:
        groups.setdefault(tuple(getattr(row, name) for name in by), []).append(row)
    for key, members in groups.items():
        yield key, _summed(members)


def _summed(rows: Sequence[DifferenceRow]) -> Difference:
    """Difference over all blocks of some rows."""
    total = {name: sum(getattr(row, name) for row in rows) for name in _SUMS}
    either = total["n_first"] + total["n_second"] - total["n_both"]
    norms = math.sqrt(total["square_first"] * total["square_second"])
    return Difference(
        total["n_weights"],
        total["n_first"],
        total["n_second"],
        total["n_both"],
        jaccard=total["n_both"] / either if either else math.nan,
        cosine=total["product"] / norms if norms else math.nan,
        norm_first=math.sqrt(total["square_first"]),
        norm_second=math.sqrt(total["square_second"]),
        norm_difference=math.sqrt(total["square_difference"]),
    )


def _by_block(adapter: Adapter) -> dict[Block, Tensor | None]:
    """Change of every block of an adapter's layout; None where nothing is stored."""
    return dict(block_changes(adapter))


def _row(block: Block, first: Tensor | None, second: Tensor | None) -> DifferenceRow:
    """Sums over one block."""
    zero = torch.zeros(1, dtype=torch.float64)
    one, two = (zero if change is None else change for change in (first, second))
    return DifferenceRow(
        block.tensor,
        block.layer,
        block.role,
        block.path,
        block.numel,
        int(one.count_nonzero()),
        int(two.count_nonzero()),
        int(((one != 0) & (two != 0)).sum()),
        *(float(value.sum()) for value in (one * two, one.square(), two.square(), (one - two).square())),
    )


def _require_comparable(first: Adapter, second: Adapter) -> None:
    """Raise an error unless both adapters change the weights of one base, and both add or both multiply."""
    for adapter in (first, second):
        check_changes_weights(adapter)
    second.check_fits(first.base, first.modality, second.dtype)
    if _is_additive(first) != _is_additive(second):
        raise InputError(
            "One adapter multiplies weights and the other adds to them: they differ by more than a number.",
            given=f"adapters of the methods {first.label} and {second.label}",
            expected="two that add, or two that multiply",
            next_step="turn the multiplying one into entries first: equisparse combine FILE --weights 1 --base BASE",
        )


def _is_additive(adapter: Adapter) -> bool:
    """Return whether an adapter adds to weights, rather than to multiply them."""
    return isinstance(adapter.format, AbstractWeightFormat) and adapter.format.additive
