"""Entries are removed where it costs least, and the others take their best values."""

import itertools

import pytest
import torch
from torch import Tensor

from equisparse.methods.surgeon import PathChange, prune


def path(rows: int, columns: int, seed: int) -> PathChange:
    """Random change with a random curvature."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(rows, 2 * rows, generator=generator, dtype=torch.float64)
    values = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    outputs = torch.rand(columns, generator=generator, dtype=torch.float64) + 0.1
    return PathChange(values, torch.ones_like(values, dtype=torch.bool), inputs @ inputs.T, outputs)


def loss(values: Tensor, target: PathChange) -> float:
    """Quadratic model of the loss around a change."""
    difference = values - target.values
    return float((target.outputs * (difference * (target.inputs @ difference)).sum(0)).sum() / 2)


def best_on(support: Tensor, target: PathChange) -> Tensor:
    """Minimum of the quadratic model on a support, column by column."""
    values = torch.zeros_like(target.values)
    wanted = target.inputs @ target.values
    for column in range(support.shape[1]):
        rows = support[:, column].nonzero()[:, 0]
        values[rows, column] = torch.linalg.solve(target.inputs[rows][:, rows], wanted[rows, column])
    return values


def test_values_are_the_minimum_on_the_support():
    paths = [path(7, 5, 0), path(4, 9, 1)]
    for pruned, target in zip(prune(paths, 30, rounds=3, damping=0.0), paths, strict=True):
        assert torch.allclose(pruned.values, best_on(pruned.support, target))
        assert not pruned.values[~pruned.support].any()


def test_removing_one_entry_removes_the_cheapest():
    target = path(3, 2, 2)
    (pruned,) = prune([target], 5, rounds=1, damping=0.0)
    losses = []
    for row, column in itertools.product(range(3), range(2)):
        support = target.support.clone()
        support[row, column] = False
        losses.append(loss(best_on(support, target), target))
    assert loss(pruned.values, target) == pytest.approx(min(losses))


def test_more_rounds_are_better_than_one_and_both_are_better_than_the_largest_entries():
    target = path(12, 8, 3)
    kept = 20
    losses = [loss(prune([target], kept, rounds=rounds, damping=0.0)[0].values, target) for rounds in (76, 1)]
    largest = target.values.abs() >= target.values.abs().flatten().topk(kept).values[-1]
    assert losses[0] < losses[1] < loss(torch.where(largest, target.values, 0.0), target)


@pytest.mark.parametrize("kept", [1, 2, 17, 70, 71])
def test_exactly_as_many_entries_remain_as_asked_for(kept):
    pruned = prune([path(7, 5, 0), path(4, 9, 1)], kept, rounds=4, damping=1e-4)
    assert sum(int(p.support.sum()) for p in pruned) == kept


def test_a_path_without_curvature_is_pruned_first():
    useless = PathChange(torch.ones(3, 3, dtype=torch.float64), torch.ones(3, 3, dtype=torch.bool),
                         torch.zeros(3, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))  # fmt: skip
    pruned = prune([useless, path(4, 4, 0)], 16, rounds=2, damping=1e-4)
    assert [int(p.support.sum()) for p in pruned] == [0, 16]


def test_a_second_pruning_removes_only_entries_of_the_first():
    first = prune([path(9, 6, 4)], 30, rounds=3, damping=1e-4)
    second = prune(first, 10, rounds=3, damping=1e-4)
    assert not (second[0].support & ~first[0].support).any()
