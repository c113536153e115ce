"""Reference energies of a set of frames: their fit to the differences of label and base, and findings about it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from equisparse.data.audit.context import FrameSet
from equisparse.data.audit.finding import Finding, Level
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.references import ReferenceFit, unfitted_elements
from equisparse.data.robust_fit import NOT_FINITE, OUTLIER, robust_reference_fit
from equisparse.quantities import ENERGY
from equisparse.wording import counted

ISOLATED = "an atom without neighbours"
CHARGED = "another total charge than most frames"

_CHARGES = ("charge", "total_charge")
_WORSE = 1.1
_WORSE_BY = 1e-3  # eV/atom
_ADVICE = {
    ISOLATED: "nothing: they only choose between shifts that fit the other frames equally well, because the base was "
    "hardly trained on isolated atoms",
    CHARGED: "nothing, or remove them: the model does not see the charge of a frame",
    OUTLIER: "look at these frames: a key read wrongly, other settings, unconverged, or correct but rare structures",
    NOT_FINITE: "remove these frames",
}
_WARNED = (OUTLIER, NOT_FINITE)


def fit_references(data: FrameSet, slots: Mapping[int, int], cutoff: float) -> ReferenceFit:
    """Fit shifts of the reference energies to the differences of labelled energies and predictions of the base.

    Elements that share one reference energy in the base get one common shift. If no frame has an energy, all shifts
    are 0. Frames in which an atom has no neighbour, frames of an unusual charge, and outliers are left out; see
    `equisparse.data.robust_fit`.

    Parameters
    ----------
    data : FrameSet
        Training frames with predictions of the base.
    slots : mapping of int to int
        Atomic number -> index of the reference energy in the base.
    cutoff : float
        Cutoff of the base, Angstrom.
    """
    labelled = np.flatnonzero([frame.energy is not None for frame in data.frames])
    if not labelled.size or data.base is None:
        numbers = data.composition[1]
        return ReferenceFit(dict.fromkeys(numbers, 0.0), 0, len(numbers), (), np.nan, np.nan)
    counts, elements = _composition(data, labelled)
    used = sorted({slots[z] for z in elements})
    members = np.array([[slots[z] == slot for slot in used] for z in elements], dtype=float)
    first_of = {slots[z]: z for z in reversed(elements)}
    residuals = data.energies[labelled] - data.base[ENERGY][labelled]
    doubtful = {reason: mask[labelled] for reason, mask in _doubtful(data, cutoff).items()}
    fit = robust_reference_fit(counts @ members, residuals, [first_of[slot] for slot in used], doubtful)
    return replace(
        fit,
        shifts={z: fit.shifts[first_of[slots[z]]] for z in elements},
        left_out={reason: tuple(labelled[list(rows)].tolist()) for reason, rows in fit.left_out.items()},
    )


def reference_findings(sets: Mapping[str, FrameSet], fit: ReferenceFit) -> Iterator[Finding]:
    """Report what a fit left out, elements without a fitted reference, and a fit that spoils the validation error.

    Parameters
    ----------
    sets : mapping of str to FrameSet
        Sets by name, with predictions of the base.
    fit : ReferenceFit
        Fit to the frames of ``train``.
    """
    train = sets["train"]
    if not np.isfinite(train.energies).any():
        yield train.finding(
            "note",
            "references-of-base",
            "no training frame has an energy: the reference energies stay those of the base",
            (),
            "nothing, if the data have forces only; energies of the model are then on the scale of the base",
        )
    for reason, frames in fit.left_out.items():
        level: Level = "warning" if reason in _WARNED else "note"
        yield train.finding(
            level,
            "left-out-of-references",
            f"the reference energies are fitted without {counted(len(frames), 'frame')} with {reason}",
            frames,
            _ADVICE[reason],
        )
    for data in sets.values():
        yield from _unfitted(data, fit)
    if "valid" in sets:
        yield from _worse_than_base(sets["valid"], fit)


def _composition(data: FrameSet, labelled: NDArray[np.intp]) -> tuple[Floats, tuple[int, ...]]:
    """Numbers of atoms of the elements of some frames, and the atomic numbers of the columns."""
    counts, numbers = data.composition
    counts = counts[labelled]
    present = np.flatnonzero(counts.any(axis=0))
    return counts[:, present], tuple(numbers[column] for column in present)


def _doubtful(data: FrameSet, cutoff: float) -> dict[str, NDArray[np.bool_]]:
    """Frames that say little about reference energies, by reason."""
    charges = [_charge(frame) for frame in data.frames]
    counts = Counter(charges)
    usual = max(counts, key=lambda charge: (counts[charge], -abs(charge)))
    return {
        ISOLATED: data.nearest_range[:, 1] > cutoff,
        CHARGED: np.array([charge != usual for charge in charges]),
    }


def _charge(frame: LabelledFrame) -> float:
    """Total charge that is stored with a frame; 0 if there is none."""
    value = next((frame.atoms.info[name] for name in _CHARGES if name in frame.atoms.info), 0.0)
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _unfitted(data: FrameSet, fit: ReferenceFit) -> Iterator[Finding]:
    """Find elements without a fitted reference energy."""
    counts, numbers = data.composition
    names = unfitted_elements(fit.shifts, numbers)
    if names:
        columns = [index for index, z in enumerate(numbers) if z not in fit.shifts]
        yield data.finding(
            "warning",
            "unfitted-references",
            f"no training frame with {', '.join(names)} has an energy: the reference energies of these elements stay "
            "those of the base, on another scale than the fitted ones",
            np.flatnonzero(counts[:, columns].any(axis=1)),
            "add training frames with energies of these elements, or do not use their energies",
        )


def _worse_than_base(data: FrameSet, fit: ReferenceFit) -> Iterator[Finding]:
    """Find fitted reference energies that make the energies of the validation frames worse than those of the base."""
    if data.base is None:
        return
    counts, numbers = data.composition
    residuals = (data.energies - data.base[ENERGY]) / data.n_atoms
    shifted = residuals - counts @ np.array([fit.shifts.get(z, 0.0) for z in numbers]) / data.n_atoms
    known = np.isfinite(residuals)
    if not known.any():
        return
    before, after = (float(np.abs(values[known]).mean()) for values in (residuals, shifted))
    if after > max(_WORSE * before, before + _WORSE_BY):
        yield data.finding(
            "warning",
            "references-worse",
            f"the fitted reference energies raise the energy error of the base on these frames from "
            f"{1e3 * before:.4g} to {1e3 * after:.4g} meV/atom",
            np.flatnonzero(known),
            "compare the energies of training and validation frames: keys, codes, settings, charges",
        )
