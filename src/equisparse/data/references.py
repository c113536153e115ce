"""Reference energies: the shift per element between a base model and the labels, and which shifts are undetermined."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from equisparse.data.frames import Floats, LabelledFrame
from equisparse.errors import DataError
from equisparse.wording import counted

_RANK_TOLERANCE = 1e-8
_NULL_TOLERANCE = 1e-6
_ROBUST_STEPS = 20
_SMALLEST_DEVIATION = 1e-4  # eV/atom: smaller deviations have the same weight
_SMALLEST_SHIFT = 1e-3  # eV: smaller shifts do not make elements differ


@dataclass(frozen=True)
class ReferenceFit:
    """Fitted shifts of the reference energies of a base model.

    Parameters
    ----------
    shifts : dict of int to float
        Atomic number -> shift of the base's reference energy, eV.
    rank : int
        Number of independent shifts that the compositions determine.
    n_elements : int
        Number of elements in the data.
    unresolved : tuple of str
        Symbols of elements whose shifts the data do not determine; they have the smallest shifts that fit.
    mae_before, mae_after : float
        Mean absolute energy error of the base before and after the shift, eV per atom, over the frames of the fit.
    left_out : mapping of str to tuple of int
        Reason -> indices of the frames with an energy that the fit leaves out; see `equisparse.data.robust_fit`.
    """

    shifts: dict[int, float]
    rank: int
    n_elements: int
    unresolved: tuple[str, ...]
    mae_before: float
    mae_after: float
    left_out: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def composition_matrix(
    frames: Sequence[LabelledFrame], atomic_numbers: Sequence[int] | None = None
) -> tuple[Floats, tuple[int, ...]]:
    """Number of atoms of each element in each frame.

    Parameters
    ----------
    frames : sequence of LabelledFrame
    atomic_numbers : sequence of int, optional
        Elements of the columns; by default those of the frames, in rising order.

    Returns
    -------
    counts : array, shape (n_frames, n_elements)
    atomic_numbers : tuple of int
        Element of each column.
    """
    present = {int(z) for frame in frames for z in set(frame.numbers.tolist())} if atomic_numbers is None else ()
    columns = tuple(sorted(present)) if atomic_numbers is None else tuple(int(z) for z in atomic_numbers)
    counts = np.zeros((len(frames), len(columns)))
    for row, frame in zip(counts, frames, strict=True):
        row[:] = np.bincount(frame.numbers, minlength=len(chemical_symbols))[list(columns)]
    return counts, columns


def unresolved_elements(counts: Floats) -> tuple[int, NDArray[np.bool_]]:
    """Rank of a composition matrix, and the elements whose reference energies it does not determine.

    Parameters
    ----------
    counts : array, shape (n_frames, n_elements)
        Numbers of atoms, or fractions.

    Returns
    -------
    rank : int
        Number of independent compositions, at most n_elements.
    unresolved : array of bool, shape (n_elements,)
        Elements whose reference energies can change, together with others, without changing any total energy.
    """
    free = undetermined_directions(counts)
    return counts.shape[1] - free.shape[1], np.linalg.norm(free, axis=1) > _NULL_TOLERANCE


def undetermined_directions(counts: Floats) -> Floats:
    """Orthonormal directions in which reference energies can change without changing any total energy.

    Parameters
    ----------
    counts : array, shape (n_frames, n_elements)

    Returns
    -------
    array, shape (n_elements, n_directions)
    """
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    triangle = np.linalg.qr(fractions, mode="r")  # as small as the number of elements, whatever that of the frames
    _, singular, rows = np.linalg.svd(triangle, full_matrices=True)
    rank = int((singular > _RANK_TOLERANCE * max(singular.max(initial=0.0), 1e-300)).sum())
    return np.asarray(rows[rank:].T)


def fit_reference_shifts(
    counts: Floats, residuals: Floats, atomic_numbers: Sequence[int], weights: Floats | None = None
) -> ReferenceFit:
    """Fit shifts of the reference energies by least squares, with the smallest norm where the data leave a choice.

    Minimises ``sum_i (w_i (residuals_i - counts_i . shift))^2`` with ``w_i = 1 / n_atoms_i``, errors per atom.

    Parameters
    ----------
    counts : array, shape (n_frames, n_elements)
        From `composition_matrix`.
    residuals : array, shape (n_frames,)
        Label minus base prediction of the total energy, eV.
    atomic_numbers : sequence of int
        Element of each column of `counts`.
    weights : array, shape (n_frames,), optional
        The weights ``w_i`` above; by default ``1 / n_atoms_i``.

    Returns
    -------
    ReferenceFit
        Shifts in eV and errors in eV per atom.

    Raises
    ------
    DataError
        If there are no frames, the shapes do not match, or a residual is not finite.

    Examples
    --------
    >>> fit = fit_reference_shifts(np.array([[1.0, 1.0], [1.0, 2.0]]), np.array([3.0, 5.0]), [8, 12])
    >>> {z: round(shift, 6) for z, shift in fit.shifts.items()}, fit.rank, fit.unresolved
    ({8: 1.0, 12: 2.0}, 2, ())
    """
    counts, residuals = np.asarray(counts, dtype=np.float64), np.asarray(residuals, dtype=np.float64)
    _require_fit_shapes(counts, residuals, atomic_numbers)
    n_atoms = np.maximum(counts.sum(axis=1), 1.0)
    scale = 1.0 / n_atoms if weights is None else np.asarray(weights, dtype=np.float64)
    shift = np.linalg.lstsq(counts * scale[:, None], residuals * scale, rcond=_RANK_TOLERANCE)[0]
    rank, unresolved = unresolved_elements(counts)
    return ReferenceFit(
        shifts={int(z): float(value) for z, value in zip(atomic_numbers, shift, strict=True)},
        rank=rank,
        n_elements=len(atomic_numbers),
        unresolved=tuple(chemical_symbols[z] for z, free in zip(atomic_numbers, unresolved, strict=True) if free),
        mae_before=float(np.abs(residuals / n_atoms).mean()),
        mae_after=float(np.abs((residuals - counts @ shift) / n_atoms).mean()),
    )


def given_references(shifts: Mapping[int, float]) -> ReferenceFit:
    """Shifts that were fitted before, by atomic number, eV."""
    return ReferenceFit(dict(shifts), 0, len(shifts), (), math.nan, math.nan)


def least_absolute_shifts(fractions: Floats, target: Floats) -> Floats:
    """Fit one energy per element by least absolute deviations, which a minority of wrong energies cannot spoil.

    Minimises ``sum_i |target_i - fractions_i . shift|`` by iteratively reweighted least squares.

    Parameters
    ----------
    fractions : array, shape (n_frames, n_elements)
        Fraction of the atoms of each element.
    target : array, shape (n_frames,)
        eV per atom.

    Returns
    -------
    array, shape (n_elements,)
        eV.
    """
    shift: Floats = np.zeros(fractions.shape[1])
    weight: Floats = np.ones(len(target))
    for _ in range(_ROBUST_STEPS):
        shift = np.asarray(np.linalg.lstsq(fractions * weight[:, None], target * weight, rcond=_RANK_TOLERANCE)[0])
        weight = 1 / np.sqrt(np.maximum(np.abs(target - fractions @ shift), _SMALLEST_DEVIATION))
    return shift


def unfitted_elements(shifts: Mapping[int, float], numbers: Iterable[int]) -> tuple[str, ...]:
    """Symbols of elements without a fitted reference energy, whose energies are on another scale than those of others.

    Parameters
    ----------
    shifts : mapping of int to float
        Atomic number -> shift of the reference energy, eV. If all are smaller than 1 meV, all elements are on the scale
        of the base, and none is returned.
    numbers : iterable of int
        Atomic numbers of some structures.
    """
    if not any(abs(shift) > _SMALLEST_SHIFT for shift in shifts.values()):
        return ()
    return tuple(chemical_symbols[z] for z in sorted({int(z) for z in numbers} - shifts.keys()))


def _require_fit_shapes(counts: Floats, residuals: Floats, atomic_numbers: Sequence[int]) -> None:
    """Raise DataError if shapes do not match, there are no rows, or a residual is not finite."""
    if counts.shape != (len(residuals), len(atomic_numbers)) or not len(residuals):
        raise DataError(
            "The reference energies cannot be fitted.",
            given=f"counts {counts.shape}, {counted(len(residuals), 'residual')}, "
            f"{counted(len(atomic_numbers), 'element')}",
            expected="one row per residual, one column per element, at least one row",
            next_step="check that frames have energy labels",
        )
    bad = np.flatnonzero(~np.isfinite(residuals))
    if bad.size:
        raise DataError(
            "The difference between an energy label and the base prediction is NaN or infinite.",
            given=f"{bad.size} of {counted(len(residuals), 'frame')}, the first has index {bad[0]}",
            next_step="run `equisparse audit` to find the frames",
        )
