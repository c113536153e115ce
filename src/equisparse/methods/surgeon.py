"""Optimal brain surgeon for matrices: which entries of a change to remove, and new values of those that remain.

The loss around a trained change V of one path is approximated by ``1/2 sum_c s_c (v - V)_c^T H (v - V)_c`` over the
columns c, with a matrix H of the input channels and a factor s of each output channel. If the entries of a column
outside of a support S are removed and the others are optimal, they are ``(H_SS)^-1 (H V)_S``, and the removal of one
more entry raises the loss by ``s_c v_i^2 / (2 [(H_SS)^-1]_ii)`` (Hassibi and Stork, NIPS 1992).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

_MOST_NUMBERS = 2**22
"""Numbers of all inverse matrices that are computed at once; limits the memory."""


@dataclass(frozen=True)
class PathChange:
    """Change of one path with its curvature.

    Parameters
    ----------
    values : Tensor, shape (rows, columns), float64
        Trained change.
    support : Tensor, shape (rows, columns), bool
        Entries that may be different from zero.
    inputs : Tensor, shape (rows, rows), float64
        Curvature H of the input channels; positive semidefinite.
    outputs : Tensor, shape (columns,), float64
        Factor s of each output channel.
    """

    values: Tensor
    support: Tensor
    inputs: Tensor
    outputs: Tensor


def prune(paths: Sequence[PathChange], kept: int, *, rounds: int, damping: float) -> list[PathChange]:
    """Remove the entries of all paths together that raise the loss least, and solve for the values of the others.

    Parameters
    ----------
    paths : sequence of PathChange
    kept : int
        Number of entries that remain, over all paths.
    rounds : int
        Number of equal factors by which the number of entries is reduced; values are solved for after each.
    damping : float
        Multiple of the mean diagonal entry that is added to the diagonal of H.

    Returns
    -------
    list of PathChange
        With new values and supports.
    """
    damped = [replace(path, inputs=_damped(path.inputs, damping)) for path in paths]
    present = damped
    costs = [_solved(path, path)[1] for path in damped]
    before = sum(int(path.support.sum()) for path in paths)
    for finished in range(1, rounds + 1):
        count = round(before * (kept / before) ** (finished / rounds)) if before > kept else before
        supports = _cheapest_removed(costs, count)
        shrunk = [replace(path, support=support) for path, support in zip(present, supports, strict=True)]
        solved = [_solved(path, target) for path, target in zip(shrunk, damped, strict=True)]
        present = [replace(path, values=values) for path, (values, _) in zip(shrunk, solved, strict=True)]
        costs = [cost for _, cost in solved]
    return present


def _damped(inputs: Tensor, damping: float) -> Tensor:
    """Curvature with a multiple of its mean diagonal entry on the diagonal; the identity if it is zero."""
    size = inputs.diagonal().mean()
    added = damping * size if size > 0 else torch.ones_like(size)
    return inputs + added * torch.eye(len(inputs), dtype=inputs.dtype, device=inputs.device)


def _solved(path: PathChange, target: PathChange) -> tuple[Tensor, Tensor]:
    """Best values on the support of `path` for the values of `target`, and the cost of removing each; -1 outside."""
    values, costs = torch.zeros_like(target.values), torch.full_like(target.values, -1.0)
    wanted = path.inputs @ target.values
    for columns, rows, valid in _columns_of_similar_size(path.support):
        inverse = _inverse(path.inputs, rows, valid)
        right = torch.where(valid, wanted[rows, columns[:, None]], 0.0)
        solution = (inverse @ right[:, :, None])[:, :, 0]
        cost = path.outputs[columns, None] * solution.square() / inverse.diagonal(dim1=1, dim2=2)
        place = rows[valid], columns[:, None].expand_as(rows)[valid]
        values[place], costs[place] = solution[valid], cost[valid]
    return values, costs


def _columns_of_similar_size(support: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Groups of columns with similar numbers of entries.

    Yields
    ------
    columns : Tensor, shape (n,)
    rows : Tensor, shape (n, largest number of entries)
        Rows of the entries of each column, then rows without an entry.
    valid : Tensor, shape of `rows`, bool
        Which of `rows` have an entry.
    """
    counts = support.sum(0)
    columns = counts.argsort(descending=True)
    columns = columns[counts[columns] > 0]
    while len(columns):
        largest = int(counts[columns[0]])
        group, columns = columns.split([n := min(len(columns), _group_size(largest)), len(columns) - n])
        rows = support[:, group].to(torch.int8).argsort(dim=0, descending=True, stable=True)[:largest].T
        yield group, rows, support[rows, group[:, None]]


def _group_size(entries: int) -> int:
    """Number of columns that are solved together: few, so that their numbers of entries are similar."""
    return max(1, min(32, _MOST_NUMBERS // entries**2))


def _inverse(inputs: Tensor, rows: Tensor, valid: Tensor) -> Tensor:
    """Inverses of the submatrices of some rows, shape (n, k, k); the identity where there is no entry."""
    both = valid[:, :, None] & valid[:, None, :]
    submatrices = torch.where(both, inputs[rows[:, :, None], rows[:, None, :]], 0.0)
    return torch.cholesky_inverse(torch.linalg.cholesky(submatrices + torch.diag_embed((~valid).to(inputs))))


def _cheapest_removed(costs: Sequence[Tensor], kept: int) -> list[Tensor]:
    """Masks of the entries with the largest costs over all paths, exactly `kept` of them."""
    flat = torch.cat([cost.reshape(-1) for cost in costs])
    mask = torch.zeros_like(flat, dtype=torch.bool)
    mask[flat.argsort(descending=True, stable=True)[:kept]] = True
    pieces = mask.split([cost.numel() for cost in costs])
    return [piece.view_as(cost) for piece, cost in zip(pieces, costs, strict=True)]
