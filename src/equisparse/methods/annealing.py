"""Learning-rate schedule of a run, or of one stage of it: warm-up, then a cosine to zero."""

import math


def annealed(step: int, total: int, warmup: int) -> float:
    """Factor of the learning rate at step `step` (from 0) of `total`, between 0 and 1.

    >>> annealed(0, 100, warmup=0), round(annealed(50, 100, warmup=0), 3), annealed(100, 100, warmup=0)
    (1.0, 0.5, 0.0)
    """
    warm = min(1.0, (step + 1) / max(1, warmup))
    return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))


def annealed_within(step: int, first: int, end: int, warmup: int) -> float:
    """Factor at a step of a stage from step `first` to `end`; at most a quarter of the stage is warm-up."""
    length = end - first
    return annealed(step - first, length, min(warmup, length // 4))
