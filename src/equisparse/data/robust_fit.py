"""Fit of reference energies that a minority of frames cannot spoil.

Least squares, as in `equisparse.data.references`, over the frames that can be trusted. Frames that are doubtful for a
known reason (an isolated atom, another charge) are left out first. Then a fit by least absolute deviations finds frames
whose energy is far from that of the others. Without such frames the result is that of plain least squares. Doubtful
frames only choose between shifts that fit the trusted frames equally well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from equisparse.data.frames import Floats
from equisparse.data.references import (
    ReferenceFit,
    fit_reference_shifts,
    least_absolute_shifts,
    undetermined_directions,
)

OUTLIER = "an energy far from the fit"
NOT_FINITE = "an energy or a base prediction that is not finite"

_FARTHEST = 10.0  # robust standard deviations
_SMALLEST_LIMIT = 0.1  # eV/atom: errors of a base on strained and hot structures have long tails
_FOREIGN = 10.0  # eV/atom: doubtful frames that are farther from every fit have energies of another kind
_MAD_TO_SIGMA = 1.4826
_ROUNDS = 10

Mask = NDArray[np.bool_]
"""Mask of frames, shape (n_frames,)."""


def robust_reference_fit(
    counts: Floats, residuals: Floats, atomic_numbers: Sequence[int], doubtful: Mapping[str, Mask]
) -> ReferenceFit:
    """Fit shifts of the reference energies to the frames that can be trusted.

    A frame stays in the fit if it has an element that no trusted frame has.

    Parameters
    ----------
    counts : array, shape (n_frames, n_elements)
        From `equisparse.data.references.composition_matrix`.
    residuals : array, shape (n_frames,)
        Label minus base prediction of the total energy, eV; frames whose value is not finite are left out.
    atomic_numbers : sequence of int
        Element of each column of `counts`.
    doubtful : mapping of str to array of bool, shape (n_frames,)
        Reason -> frames that are left out for it.

    Returns
    -------
    ReferenceFit
        Its `left_out` names the frames that were left out, by reason.

    Raises
    ------
    DataError
        If no frame has a finite residual.

    Examples
    --------
    >>> energies = np.array([2.0, 2.0, 2.03, 50.0])
    >>> fit = robust_reference_fit(np.full((4, 1), 2.0), energies, [8], {})
    >>> round(fit.shifts[8], 3), fit.left_out
    (1.005, {'an energy far from the fit': (3,)})
    """
    finite = np.isfinite(residuals)
    left_out = {NOT_FINITE: ~finite}
    untrusted = np.logical_or.reduce([np.zeros_like(finite), *doubtful.values()])
    spared = removable(counts, finite & ~untrusted)
    left_out |= {reason: mask & finite & spared for reason, mask in doubtful.items()}
    candidates = finite & ~(untrusted & spared)
    kept = _without_outliers(counts, residuals, candidates)
    left_out[OUTLIER] = candidates & ~kept
    fit = fit_reference_shifts(counts[kept], np.asarray(residuals)[kept], atomic_numbers)
    fit = replace(fit, shifts=_completed(counts, residuals, fit, kept, finite & untrusted & spared))
    named = {reason: tuple(np.flatnonzero(mask).tolist()) for reason, mask in left_out.items()}
    return replace(fit, left_out={reason: frames for reason, frames in named.items() if frames})


def _completed(counts: Floats, residuals: Floats, fit: ReferenceFit, kept: Mask, doubtful: Mask) -> dict[int, float]:
    """Shifts of a fit, whose undetermined part is fitted to the doubtful frames if these are of one kind."""
    free = undetermined_directions(counts[kept])
    if not (free.size and doubtful.any()):
        return fit.shifts
    fractions, target = _per_atom(counts[doubtful], residuals[doubtful])
    shift = np.array(list(fit.shifts.values()))
    shift = shift + free @ least_absolute_shifts(fractions @ free, target - fractions @ shift)
    if np.median(np.abs(target - fractions @ shift)) > _FOREIGN:
        return fit.shifts
    return {z: float(value) for z, value in zip(fit.shifts, shift, strict=True)}


def _per_atom(counts: Floats, residuals: Floats) -> tuple[Floats, Floats]:
    """Fractions of the elements, and residuals per atom."""
    n_atoms = np.maximum(counts.sum(axis=1), 1.0)
    return counts / n_atoms[:, None], residuals / n_atoms


def removable(counts: Floats, kept: Mask) -> Mask:
    """Frames that have no element beyond those of the kept frames."""
    covered = counts[kept].any(axis=0)
    return np.asarray((counts[:, ~covered] == 0).all(axis=1))


def _without_outliers(counts: Floats, residuals: Floats, candidates: Mask) -> Mask:
    """Candidates whose energy per atom is not far from a fit by least absolute deviations to the others."""
    fractions, target = _per_atom(counts, residuals)
    kept = candidates
    for _ in range(_ROUNDS):
        if not kept.any():
            return kept
        deviation = np.abs(target - fractions @ least_absolute_shifts(fractions[kept], target[kept]))
        limit = max(_FARTHEST * _MAD_TO_SIGMA * float(np.median(deviation[kept])), _SMALLEST_LIMIT)
        near = candidates & (deviation <= limit)
        near |= candidates & ~removable(counts, near)
        if (near == kept).all():
            break
        kept = near
    return kept
