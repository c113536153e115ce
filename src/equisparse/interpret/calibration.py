"""Calibration of the spread of an ensemble: a factor that makes it as large as the error, and the quality of the fit.

Errors and spreads are arrays of one shape, of one quantity in one unit, such as force components; NaN where there is no
label.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, spearmanr

from equisparse.errors import InputError
from equisparse.wording import counted

Floats = NDArray[np.float64]

_BINS = 10
_LEAST_IN_BIN = 10
_LEVELS = np.linspace(0.01, 0.99, 99)


@dataclass(frozen=True, slots=True)
class Reliability:
    """Agreement between scaled spreads and errors.

    Parameters
    ----------
    n : int
        Number of values with a label.
    rmse : float
        Root mean square of the errors.
    spread : float
        Root mean square of the scaled spreads.
    spearman : float
        Rank correlation of the spreads with the magnitudes of the errors.
    within_one, within_two : float
        Fraction of the errors within one and two scaled spreads; 0.683 and 0.954 for normal errors of that width.
    miscalibration : float
        Area between observed and expected coverage of central normal intervals over all levels, 0 to 0.5 (Kuleshov,
        Fenner and Ermon, ICML 2018, arXiv 1807.00263; Tran et al., 2020, doi 10.1088/2632-2153/ab7e1a).
    ence : float
        Mean over bins of equal count, sorted by spread, of ``|spread - RMSE| / spread`` (Levi et al., Sensors 22, 5540,
        2022, arXiv 1905.11659).
    """

    n: int
    rmse: float
    spread: float
    spearman: float
    within_one: float
    within_two: float
    miscalibration: float
    ence: float


def spread_scale(errors: Floats, spreads: Floats) -> float:
    """Factor ``sqrt(sum e^2 / sum s^2)``, which makes the root mean square of the spreads equal to that of the errors.

    It satisfies the condition of Levi et al. (arXiv 1905.11659) for all values in one bin, and is unbiased for any
    number of members, as the sample variance is. Maximum likelihood of normal errors would give
    ``sqrt(mean (e/s)^2)`` instead. With few members s itself is uncertain, and that mean is too large by
    (M - 1) / (M - 3) for M members, without bound for three (Imbalzano et al., J. Chem. Phys. 154, 074102, 2021).

    Raises
    ------
    InputError
        If there is no label, or all spreads are zero.
    """
    errors, spreads = labelled(errors, spreads)
    if not len(errors) or not spreads.any():
        raise InputError(
            "The spread of this ensemble cannot be calibrated.",
            given=counted(len(errors), "label") if not len(errors) else "members with equal predictions",
            expected="labels, and members whose predictions differ",
            next_step="give validation frames with labels, and each member its own seed",
        )
    return float(np.sqrt(np.square(errors).sum() / np.square(spreads).sum()))


def judge(errors: Floats, spreads: Floats) -> Reliability:
    """Measure how well spreads, which are already scaled, agree with the errors."""
    errors, spreads = labelled(errors, spreads)
    ratios = np.abs(errors) / np.maximum(spreads, np.finfo(float).tiny)
    observed = (ratios[:, None] <= norm.ppf(0.5 + _LEVELS / 2)).mean(0)
    constant = not np.ptp(spreads) or not np.ptp(np.abs(errors))
    return Reliability(
        n=len(errors),
        rmse=_rms(errors),
        spread=_rms(spreads),
        spearman=0.0 if constant else float(spearmanr(spreads, np.abs(errors)).statistic),
        within_one=float((ratios <= 1).mean()),
        within_two=float((ratios <= 2).mean()),
        miscalibration=float(np.abs(observed - _LEVELS).mean()),
        ence=float(
            np.mean([abs(spread - rmse) / max(spread, np.finfo(float).tiny) for spread, rmse in bins(errors, spreads)])
        ),
    )


def bins(errors: Floats, spreads: Floats) -> list[tuple[float, float]]:
    """Root mean square spread and error of up to ten bins of equal count (at least ten values), sorted by spread."""
    errors, spreads = labelled(errors, spreads)
    order = np.argsort(spreads, kind="stable")
    members = np.array_split(order, max(1, min(_BINS, len(order) // _LEAST_IN_BIN)))
    return [(_rms(spreads[indices]), _rms(errors[indices])) for indices in members]


def labelled(errors: Floats, spreads: Floats) -> tuple[Floats, Floats]:
    """Errors and spreads of the values that have a label, flattened."""
    known = np.isfinite(errors)
    return errors[known], spreads[known]


def atom_spread(deviation: Floats) -> Floats:
    """Spread of the force on each atom, shape (n_atoms,): root mean square over components, shape (n_atoms, 3)."""
    return np.asarray(np.sqrt(np.square(deviation).mean(axis=1)))


def _rms(values: Floats) -> float:
    """Root mean square."""
    return float(np.sqrt(np.square(values).mean()))
