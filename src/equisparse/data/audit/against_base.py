"""Checks of the labels against the base model: units, signs, component order, references."""

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from equisparse.data.audit.context import FrameSet, forces_of, robust_scatter, stress_of
from equisparse.data.audit.finding import Finding, Level
from equisparse.data.audit.hints import ENERGY_RATIOS, FORCE_RATIOS, STRESS_RATIOS, correlation, explain_ratio, slope
from equisparse.data.finite import not_finite
from equisparse.data.frames import Floats
from equisparse.data.kept import structures_of
from equisparse.quantities import ENERGY, STRESS
from equisparse.units import matrix_to_voigt
from equisparse.wording import counted

_OPPOSITE = -0.6
_RELATED = 0.5
_UNRELATED = 0.2
_WIDEST = 3.0
_FOREIGN_REFERENCE = 3.0
_FEWEST = 3
_FEWEST_ATOMS = 24
_WEAKEST_FORCE = 0.05  # eV/Angstrom: weaker ones, in near-perfect crystals, are noise
_WEAKEST_STRESS = 5e-4  # eV/Angstrom^3
_WEAKEST_ENERGY = 2e-3  # eV/atom
_SHEAR = ("yz", "xz", "xy")


def base_finite(data: FrameSet) -> Iterator[Finding]:
    """Find frames for which the base predicts no finite values."""
    bad = [] if data.base is None else not_finite(data.base, structures_of(data.frames))
    if bad:
        yield data.finding(
            "error",
            "base-not-finite",
            f"the base predicts NaN or infinite values for {len(bad):,} of {counted(len(data.frames), 'frame')}",
            bad,
            "look for coinciding atoms and broken cells, and remove these frames: training on them gives NaN",
        )


def forces_against_base(data: FrameSet) -> Iterator[Finding]:
    """Find forces with another sign or unit than those of the base, or unrelated to them."""
    if data.base is None:
        return
    use = [i for i in data.with_forces if _rms(data.base_forces[i]) > _WEAKEST_FORCE]
    if sum(data.frames[i].n_atoms for i in use) < _FEWEST_ATOMS:
        return
    label = np.concatenate([forces_of(data.frames[i]).ravel() for i in use])
    base = np.concatenate([data.base_forces[i].ravel() for i in use])
    if not label.any():
        return
    yield from _compare(data, "force", base, label, use, explain_ratio(slope(base, label), FORCE_RATIOS))


def energies_against_base(data: FrameSet) -> Iterator[Finding]:
    """Find energies with another unit or sign than those of the base, and compare the reference energies."""
    if data.base is None:
        return
    predicted = data.base[ENERGY]
    use = np.flatnonzero(np.isfinite(data.energies) & np.isfinite(predicted))
    if use.size < _FEWEST:
        return
    shift = float(np.median((data.energies - predicted)[use] / data.n_atoms[use]))
    if data.name == "train" and abs(shift) > _FOREIGN_REFERENCE:
        yield data.finding(
            "note",
            "other-references",
            f"label and base energies differ by {shift:.4g} eV/atom (median): the data have other reference energies, "
            "or another level of theory",
            (),
            "nothing: reference energies are refitted before training",
        )
    base_part = robust_scatter(data.composition[0], predicted, data.bound)
    both = np.flatnonzero(np.isfinite(base_part) & np.isfinite(data.energy_scatter))
    base, label = base_part[both], data.energy_scatter[both]
    if both.size < 2 * _FEWEST or base.std() < _WEAKEST_ENERGY:
        return
    hint = explain_ratio(slope(base, label), ENERGY_RATIOS)
    if abs(correlation(base, label)) > 0.9 and (hint or correlation(base, label) < 0):
        yield from _compare(data, "energy", base, label, both.tolist(), hint)


def stress_against_base(data: FrameSet) -> Iterator[Finding]:
    """Find stresses with another sign, unit or order of components than those of the base."""
    if data.base is None or STRESS not in data.base:
        return
    predicted = data.base[STRESS]
    use = [i for i in data.with_stress if np.isfinite(predicted[i]).all()]
    if len(use) < _FEWEST:
        return
    label = np.array([matrix_to_voigt(stress_of(data.frames[i])) for i in use])
    base = np.array([matrix_to_voigt(predicted[i]) for i in use])
    if not label.any() or base.std() < _WEAKEST_STRESS:
        return
    order = _shear_order(base, label)
    if order != (0, 1, 2):
        yield data.finding(
            "error",
            "stress-order",
            f"the shear components agree with the base if the order is {_order_text(order)} instead of "
            "xx yy zz yz xz xy",
            use,
            "set --stress-order vasp for xx yy zz xy yz zx; for any other order, write 3x3 matrices into the file",
        )
    label[:, 3:] = label[:, 3:][:, list(order)]
    hint = explain_ratio(_slope_about_mean(base, label), STRESS_RATIOS)
    yield from _compare(data, "stress", base, label, use, hint)


def _compare(
    data: FrameSet, what: str, base: Floats, label: Floats, frames: list[int], unit_hint: str
) -> Iterator[Finding]:
    """Check the sign, then the unit, then whether label and base are related at all."""
    pair = correlation(base.ravel(), label.ravel())
    ratio = abs(_slope_about_mean(base, label))
    seen = f"label and base {what} correlate with {pair:.2f}, size ratio {ratio:.3g}"
    if pair < _OPPOSITE:
        extra = f" and {unit_hint}" if unit_hint else ""
        yield data.finding("error", f"{what}-sign", f"{seen}: opposite sign{extra}", frames, _SIGN_STEP[what])
    elif pair > _RELATED and unit_hint:
        yield data.finding("error", f"{what}-unit", f"{seen}: {unit_hint}?", frames, _UNIT_STEP[what])
    elif pair < _UNRELATED or not 1 / _WIDEST < ratio < _WIDEST:
        level: Level = "warning"
        step = "check key, unit and order of atoms; the base may also be poor for this material"
        yield data.finding(level, f"{what}-unlike-base", seen, frames, step)


_SIGN_STEP = {
    "force": "multiply the forces by -1: forces are minus the gradient of the energy",
    "energy": "multiply the energies by -1",
    "stress": "set --stress-sign opposite: positive stress is tension here",
}
_UNIT_STEP = {
    "force": "give the units of the forces with --energy-unit and --length-unit",
    "energy": "give the unit of the energies with --energy-unit",
    "stress": "give the unit of the stress with --stress-unit",
}


def _rms(values: Floats) -> float:
    """Root mean square of all values."""
    return float(np.sqrt(np.square(np.asarray(values, dtype=np.float64)).mean()))


def _slope_about_mean(base: Floats, label: Floats) -> float:
    """Signed ratio of label to base after subtraction of their means."""
    return slope(base - base.mean(), label - label.mean())


def _shear_order(base: Floats, label: Floats) -> tuple[int, ...]:
    """Columns of the label's shear that agree best with the base; (0, 1, 2) unless another order is clearly better."""
    fits = {
        order: abs(correlation(base[:, 3:].ravel(), label[:, 3:][:, list(order)].ravel()))
        for order in permutations(range(3))
    }
    best = max(fits, key=lambda order: fits[order])
    clear = fits[best] > 0.7 and fits[best] > fits[(0, 1, 2)] + 0.3
    return best if clear else (0, 1, 2)


def _order_text(order: tuple[int, ...]) -> str:
    """Order of the six components in the file."""
    names = {source: _SHEAR[target] for target, source in enumerate(order)}
    return "xx yy zz " + " ".join(names[place] for place in range(3))
