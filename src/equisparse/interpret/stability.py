"""Stability of fine-tunes: agreement of the weights that two of them change, compared with a random null model."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from equisparse.adapters.adapter import Adapter
from equisparse.errors import InputError
from equisparse.interpret.changes import block_changes, check_changes_weights

_SHUFFLES = 1000
_UPPER = 97.5


@dataclass(frozen=True, slots=True)
class StabilityRow:
    """Agreement of the changes of two adapters.

    Parameters
    ----------
    first, second : str
        Names of the two adapters.
    spearman : float
        Rank correlation of the squared changes of the blocks.
    spearman_null : float
        97.5 % quantile of that correlation if the blocks of one adapter are shuffled.
    jaccard : float
        Number of weights that both change divided by that of the weights that either changes.
    jaccard_expected, jaccard_null : float
        Mean and 97.5 % quantile of that ratio if as many weights are drawn at random within each block.
    """

    first: str
    second: str
    spearman: float
    spearman_null: float
    jaccard: float
    jaccard_expected: float
    jaccard_null: float


def stability_table(adapters: Mapping[str, Adapter], *, seed: int = 0) -> list[StabilityRow]:
    """One row for every pair of adapters.

    Parameters
    ----------
    adapters : mapping
        Name -> adapter; all of the same base.
    seed : int
        Seed of the random null model.

    Raises
    ------
    InputError
        If the adapters do not change weights, or not the same tensors, or belong to different bases.
    """
    rng = np.random.default_rng(seed)
    changes = {name: _changes(adapter) for name, adapter in adapters.items()}
    pairs = itertools.combinations(adapters, 2)
    rows = []
    for first, second in pairs:
        _require_comparable(adapters[first], adapters[second])
        shares = _spearman(changes[first], changes[second], rng)
        rows.append(StabilityRow(first, second, *shares, *_jaccard(changes[first], changes[second], rng)))
    return rows


def _changes(adapter: Adapter) -> list[Tensor]:
    """Change of every block of the layout; zeros where nothing is stored."""
    return [torch.zeros(block.shape) if change is None else change for block, change in block_changes(adapter)]


def _spearman(first: list[Tensor], second: list[Tensor], rng: np.random.Generator) -> tuple[float, float]:
    """Rank correlation of the squared changes of blocks, and the upper quantile of its null model."""
    one, two = (np.array([float(change.square().sum()) for change in changes]) for changes in (first, second))
    null = [_correlation(one, rng.permutation(two)) for _ in range(_SHUFFLES)]
    return _correlation(one, two), float(np.percentile(null, _UPPER))


def _correlation(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    """Spearman's rank correlation; zero if one side is constant."""
    return float(spearmanr(one, two).statistic) if np.ptp(one) and np.ptp(two) else 0.0


def _jaccard(first: list[Tensor], second: list[Tensor], rng: np.random.Generator) -> tuple[float, float, float]:
    """Jaccard index of the changed weights, and mean and upper quantile of its null model."""
    pairs = [(one != 0, two != 0) for one, two in zip(first, second, strict=True)]
    sizes = np.array([one.numel() for one, _ in pairs])
    counts = np.array([[int(one.sum()), int(two.sum())] for one, two in pairs])
    both = sum(int((one & two).sum()) for one, two in pairs)
    drawn = rng.hypergeometric(counts[:, 0], sizes - counts[:, 0], counts[:, 1], size=(_SHUFFLES, len(sizes))).sum(1)
    total = counts.sum()
    if total == both:  # both are empty
        return 0.0, 0.0, 0.0
    null = drawn / (total - drawn)
    return both / (total - both), float(null.mean()), float(np.percentile(null, _UPPER))


def _require_comparable(first: Adapter, second: Adapter) -> None:
    """Raise InputError unless both adapters change weights of the same base with the same layout."""
    for adapter in (first, second):
        check_changes_weights(adapter)
    if first.base["sha256"] != second.base["sha256"] or first.layout != second.layout:
        raise InputError(
            "The changes of these adapters cannot be compared weight by weight.",
            given=f"{first.base['source']} and {second.base['source']}",
            expected="adapters of the same base, with the same selected tensors",
        )
