"""Removal of entries of all trained deltas together."""

from collections.abc import Sequence

from torch import Generator

from equisparse.methods.base import Probes
from equisparse.methods.curvature import Curvature, CurvatureSum, recorded
from equisparse.methods.sparse_delta import SparseDelta
from equisparse.methods.surgeon import prune

ROUNDS = 6
"""Rounds of `prune`; more of them cost time and gain little before a stage of training."""
DAMPING = 1e-4


def entries_of(deltas: Sequence[SparseDelta]) -> int:
    """Number of entries that may change now."""
    return sum(int(delta.mask.sum()) for delta in deltas)


def prune_deltas(
    deltas: Sequence[SparseDelta], entries: int, probes: Probes, generator: Generator | None
) -> list[list[Curvature]]:
    """Remove all entries but a number of them, and give the others the values that best replace them.

    Parameters
    ----------
    deltas : sequence of SparseDelta
    entries : int
        Number of entries that remain.
    probes : callable
        See `equisparse.methods.base.Controller.start_step`.
    generator : Generator or None
        See `equisparse.methods.sparse_delta.SparseDelta.restore`.

    Returns
    -------
    list of list of Curvature
        Curvature of every block of every delta, before the removal.
    """
    curvatures = _curvatures(deltas, probes)
    paths = [delta.paths(own) for delta, own in zip(deltas, curvatures, strict=True)]
    pruned = iter(prune([path for own in paths for path in own], entries, rounds=ROUNDS, damping=DAMPING))
    for delta, own in zip(deltas, paths, strict=True):
        delta.continue_from([next(pruned) for _ in own], generator)
    return curvatures


def _curvatures(deltas: Sequence[SparseDelta], probes: Probes) -> list[list[Curvature]]:
    """Curvature of every block of every delta at the present change."""
    sums = [[CurvatureSum(*shape, delta.start.device) for shape in delta.shapes] for delta in deltas]
    for gradients in recorded(deltas, probes()):
        for delta, gradient, own in zip(deltas, gradients, sums, strict=True):
            for total, matrix in zip(own, delta.matrices(gradient), strict=True):
                total.add(matrix)
    return [[total.mean() for total in own] for own in sums]
