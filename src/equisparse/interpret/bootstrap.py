"""Confidence intervals by resampling frames, without assumptions about the distribution of errors."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_RESAMPLES = 1000
_LEVELS = (2.5, 97.5)


def resampled_interval(
    rows: Floats, statistic: Callable[[Floats], Floats], *, seed: int = 0
) -> tuple[float, float, float]:
    """A statistic of summed rows and its 95 % bootstrap interval.

    Parameters
    ----------
    rows : array, shape (n, k)
        One row per frame.
    statistic : callable
        Function from sums over frames, shape (..., k), to values, shape (...).
    seed : int
        Seed of the resampling.

    Returns
    -------
    estimate, low, high : float

    Examples
    --------
    >>> resampled_interval(np.array([[2.0, 1.0]] * 5), lambda sums: sums[..., 1] / sums[..., 0])
    (0.5, 0.5, 0.5)
    """
    counts = np.random.default_rng(seed).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=_RESAMPLES)
    low, high = np.percentile(statistic(counts @ rows), _LEVELS)
    return float(statistic(rows.sum(axis=0))), float(low), float(high)
