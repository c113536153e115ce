"""Errors of one split before and after fine-tuning: per frame, per element, per configuration type, with intervals."""

from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from equisparse.interpret.bootstrap import resampled_interval
from equisparse.quantities import ENERGY, FORCES, Quantity
from equisparse.run.predictions import Floats, Integers, SplitPredictions


@dataclass(frozen=True, slots=True)
class GroupErrors:
    """Mean absolute errors of one group of frames or atoms, before and after fine-tuning.

    Parameters
    ----------
    name : str
    count : int
        Frames or atoms with a label.
    energy_before, energy_after : float or None
        meV/atom.
    force_before, force_after : float or None
        meV/Angstrom, over components.
    """

    name: str
    count: int
    energy_before: float | None
    energy_after: float | None
    force_before: float | None
    force_after: float | None


@dataclass(frozen=True)
class RatioInterval:
    """Error after over error before, with its interval over resampled frames.

    Parameters
    ----------
    ratio, low, high : float
        Estimate and the limits of its 95 % interval.
    n_frames : int
        Frames with a label.
    better : float
        Fraction of frames with a smaller error after than before.
    """

    ratio: float
    low: float
    high: float
    n_frames: int
    better: float


def frame_errors(split: SplitPredictions, quantity: Quantity) -> tuple[Floats, Floats]:
    """Mean absolute error of each frame over components, before and after, in the unit of shown errors.

    Returns
    -------
    before, after : array, shape (n_frames,)
        Errors per atom if the quantity is extensive; NaN without a label.
    """
    before, after = (errors.reshape(len(errors), -1).mean(axis=1) for errors in _absolute_errors(split, quantity))
    if quantity.per == "frame":
        return before, after
    starts = np.concatenate([[0], np.cumsum(split.n_atoms)[:-1]])
    return np.add.reduceat(before, starts) / split.n_atoms, np.add.reduceat(after, starts) / split.n_atoms


def atom_force_errors(split: SplitPredictions) -> tuple[Floats, Floats]:
    """Mean absolute force error over the components of each atom, before and after, (n_all_atoms,), meV/Angstrom."""
    before, after = _absolute_errors(split, FORCES)
    return before.mean(axis=1), after.mean(axis=1)


def _absolute_errors(split: SplitPredictions, quantity: Quantity) -> tuple[Floats, Floats]:
    """Absolute errors before and after, in the unit of shown errors, per atom if the quantity is extensive."""
    label = split.labels[quantity]
    before, after = (
        quantity.mae.factor * np.abs(split.per_atom(quantity, part[quantity] - label))
        for part in (split.before, split.after)
    )
    return before, after


def ratio_interval(before: Floats, after: Floats, weights: Integers) -> RatioInterval | None:
    """Ratio of two weighted mean errors with its bootstrap interval over frames; None without labels.

    Parameters
    ----------
    before, after : array, shape (n_frames,)
        Errors; frames with NaN are left out.
    weights : array, shape (n_frames,)
        Weight of each frame, such as its number of atoms.
    """
    known = np.isfinite(before) & np.isfinite(after)
    if not known.any() or not before[known].any():
        return None
    pairs = np.column_stack([before[known] * weights[known], after[known] * weights[known]])
    ratio, low, high = resampled_interval(pairs, lambda sums: sums[..., 1] / sums[..., 0])
    return RatioInterval(ratio, low, high, int(known.sum()), float((after < before)[known].mean()))


def errors_by_element(split: SplitPredictions) -> list[GroupErrors]:
    """Force errors of the atoms of each element; energy errors are None."""
    before, after = atom_force_errors(split)
    rows = []
    for z in np.unique(split.numbers):
        chosen = (split.numbers == z) & np.isfinite(before)
        if chosen.any():
            means = float(before[chosen].mean()), float(after[chosen].mean())
            rows.append(GroupErrors(chemical_symbols[z], int(chosen.sum()), None, None, *means))
    return rows


def errors_by_type(split: SplitPredictions) -> list[GroupErrors]:
    """Errors of the frames of each configuration type; empty if there is at most one type."""
    types = np.unique(split.config_type)
    return [_frames_of(split, str(name), split.config_type == name) for name in types] if len(types) > 1 else []


def worst_frames(split: SplitPredictions, count: int) -> list[int]:
    """Frames with the largest errors after fine-tuning, worst first: by force, or by energy where no force is known."""
    errors = frame_errors(split, FORCES)[1]
    if not np.isfinite(errors).any():
        errors = frame_errors(split, ENERGY)[1]
    order = np.argsort(-np.nan_to_num(errors, nan=-np.inf), kind="stable")
    return [int(frame) for frame in order[:count] if np.isfinite(errors[frame])]


def _frames_of(split: SplitPredictions, name: str, chosen: Floats) -> GroupErrors:
    """Mean errors of a group of frames."""
    energy = [_mean(errors[chosen], np.ones(int(chosen.sum()))) for errors in frame_errors(split, ENERGY)]
    force = [_mean(errors[chosen], split.n_atoms[chosen]) for errors in frame_errors(split, FORCES)]
    return GroupErrors(name or "(none)", int(chosen.sum()), *energy, *force)


def _mean(values: Floats, weights: Floats) -> float | None:
    """Weighted mean of the finite values; None if there are none."""
    known = np.isfinite(values)
    return float(np.average(values[known], weights=weights[known])) if known.any() else None
