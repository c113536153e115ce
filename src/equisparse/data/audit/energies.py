"""Checks of the energies: mixed references, outliers, compositions, enthalpies, consistency with the forces."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from equisparse.data.audit.context import FrameSet, forces_of, robust_z
from equisparse.data.audit.finding import Finding
from equisparse.data.audit.hints import ENERGY_PER_FORCE_RATIOS, explain_ratio
from equisparse.data.fingerprint import same_magnetism, shortest
from equisparse.data.frames import Floats
from equisparse.data.near import nearest_pairs
from equisparse.data.references import unresolved_elements
from equisparse.data.robust_fit import removable
from equisparse.wording import counted

_IMPOSSIBLE_GAP = 10.0
_SUSPECT_GAP = 2.5
_BASE_SHARPENS = 0.4
_FEWEST_IN_GROUP = 3
_WILD_FORCE = 50.0
_ENERGY_Z = 15.0
_ENERGY_FLOOR = 0.05
_FORCE_Z = 6.0
_LARGE_FORCE = 10.0
_FEWEST_PAIRS = 5
_NEAR_COMPARED = 3
_LARGEST_STEP = 0.3
_SMALLEST_CHANGE = 2e-3


def one_reference(data: FrameSet) -> Iterator[Finding]:
    """Find energies in two groups that are too far apart for one method: mixed codes, settings or references."""
    scatter, factor = _best_scatter(data)
    usable = np.flatnonzero(np.isfinite(scatter) & ~(data.largest_force > _WILD_FORCE))
    if usable.size < 2 * _FEWEST_IN_GROUP:
        return
    order = usable[np.argsort(scatter[usable])]
    values = scatter[order]
    cut = int(np.argmax(np.diff(values))) + 1
    gap = values[cut] - values[cut - 1]
    sides = (order[:cut], order[cut:])
    smaller = min(sides, key=len)
    width = max(float(np.ptp(np.quantile(scatter[side], [0.05, 0.95]))) for side in sides)
    if len(smaller) < max(_FEWEST_IN_GROUP, 0.02 * usable.size) or gap < max(_SUSPECT_GAP * factor, width):
        return
    yield data.finding(
        "error" if gap > _IMPOSSIBLE_GAP * factor else "warning",
        "mixed-references",
        f"energies per atom, minus one energy per element, form two groups that are {gap:.3g} eV/atom apart "
        f"({len(sides[0]):,} and {counted(len(sides[1]), 'frame')})",
        smaller,
        "use one code, one set of settings and one kind of energy: total, not cohesive or formation energy",
    )


def outliers(data: FrameSet) -> Iterator[Finding]:
    """Find single frames with energies or forces far from all others."""
    scatter, factor = _best_scatter(data)
    far = np.flatnonzero(np.abs(robust_z(scatter, _ENERGY_FLOOR * factor)) > _ENERGY_Z)
    if far.size:
        worst = far[np.nanargmax(np.abs(scatter[far]))]
        yield data.finding(
            "warning",
            "energy-outliers",
            f"the energy per atom, minus one energy per element, of {counted(far.size, 'frame')} is far from that of "
            f"all others; the worst is frame {worst}, off by {scatter[worst]:.3g} eV/atom",
            far,
            "look at these frames: unconverged, exploded, in another spin state, or correct but rare structures",
        )
    largest = data.largest_force
    spread = robust_z(np.log(np.maximum(largest, 1e-3)), 0.2)
    far = np.flatnonzero((largest > _WILD_FORCE) | ((spread > _FORCE_Z) & (largest > _LARGE_FORCE)))
    if far.size:
        yield data.finding(
            "warning",
            "force-outliers",
            f"the largest force of {counted(far.size, 'frame')} is far above that of all others: "
            f"up to {np.nanmax(largest):.3g} eV/Angstrom",
            far,
            "look at these frames, and remove those that are not physical: a few large forces can dominate the loss",
        )


def separable_elements(data: FrameSet) -> Iterator[Finding]:
    """Find elements whose reference energies the compositions of the frames do not determine."""
    counts, numbers = data.composition
    known = np.isfinite(data.energies)
    if data.name != "train" or not known.any():
        return
    known &= data.bound | ~removable(counts, known & data.bound)  # as in the fit
    rank, unresolved = unresolved_elements(counts[known])
    if rank == len(numbers):
        return
    names = ", ".join(chemical_symbols[z] for z, free in zip(numbers, unresolved, strict=True) if free)
    yield data.finding(
        "note" if rank == 1 else "warning",
        "unresolved-references",
        f"the compositions determine only {rank} of {len(numbers)} reference energies; undetermined: {names}",
        (),
        "add frames with other ratios of these elements, or compare only energies of equal compositions",
    )


def enthalpies(data: FrameSet) -> Iterator[Finding]:
    """Find energy labels that may contain pressure times volume."""
    known = np.flatnonzero(np.isfinite(data.energies)).tolist()
    equal = [i for i in known if np.array_equal(_stored_enthalpy(data, i), data.energies[i])]
    pressed = [i for i in range(len(data.frames)) if i not in set(equal) and _stored_pressure(data, i)]
    if equal:
        yield data.finding(
            "error",
            "enthalpy-as-energy",
            f"the energy of {counted(len(equal), 'frame')} equals the stored enthalpy: it contains pressure times "
            "volume",
            equal,
            "subtract pressure times volume, or name the key of the energy with --energy-key",
        )
    if pressed:
        yield data.finding(
            "note",
            "external-pressure",
            f"{counted(len(pressed), 'frame was', 'frames were')} computed under an external pressure",
            pressed,
            "make sure that the energies do not contain pressure times volume, nor the stress the external pressure",
        )


def energy_matches_forces(data: FrameSet) -> Iterator[Finding]:
    """Compare energy differences between near frames with the work of their forces."""
    pairs = list(_near_frames(data))
    if len(pairs) < _FEWEST_PAIRS:
        return
    work = np.array([_work(data, i, j) for i, j in pairs])
    change = np.array([data.energies[j] - data.energies[i] for i, j in pairs])
    clear = (np.abs(work) >= np.median(np.abs(work))) & (np.maximum(np.abs(work), np.abs(change)) > _SMALLEST_CHANGE)
    if clear.sum() < _FEWEST_PAIRS:
        return
    ratios = change[clear] / work[clear]
    ratio = float(np.median(ratios))
    scatter = float(np.median(np.abs(ratios - ratio)))
    if scatter < 0.5 and abs(ratio - 1) < 0.4:
        return
    frames = {i for pair, use in zip(pairs, clear, strict=True) if use for i in pair}
    steady = scatter < 0.3 * abs(ratio)
    yield data.finding(
        "error" if steady else "warning",
        "energy-force-mismatch",
        f"between {clear.sum()} pairs of near frames the energy changes by {ratio:.3g} times the work of the forces "
        f"(expected 1, scatter {scatter:.2g}){_reason(ratio, data, frames) if steady else ''}",
        frames,
        "give the units of energies and forces, or find out whether one of them belongs to another calculation",
    )


def _best_scatter(data: FrameSet) -> tuple[Floats, float]:
    """Scatter of label minus base if there is a base, else of labels; and the factor by which the former is smaller."""
    if data.base is not None:
        return data.residual_scatter, _BASE_SHARPENS
    return data.energy_scatter, 1.0


def _stored_enthalpy(data: FrameSet, number: int) -> Any:
    """Enthalpy stored with a frame; None if there is none."""
    info = data.frames[number].atoms.info
    return next((value for name, value in info.items() if "enthalpy" in str(name).lower()), None)


def _stored_pressure(data: FrameSet, number: int) -> bool:
    """Return whether a frame is stored with an external pressure other than 0."""
    info = data.frames[number].atoms.info
    names = [
        name for name in info if str(name).lower() in ("pressure", "pstress", "external_pressure", "target_pressure")
    ]
    return any(np.any(np.asarray(info[name], dtype=object) != 0) for name in names)


def _near_frames(data: FrameSet) -> Iterator[tuple[int, int]]:
    """Pairs of frames with energies and forces, between which atoms move little."""
    usable = set(data.with_forces) & set(np.flatnonzero(np.isfinite(data.energies)).tolist())
    seen = set()
    for i, j in _candidates(data):
        if i in usable and j in usable and (i, j) not in seen and _small_step(data, i, j):
            seen.add((i, j))
            yield i, j


def _candidates(data: FrameSet) -> Iterator[tuple[int, int]]:
    """Pairs of frames that may be near: neighbours in the file, and near duplicates."""
    yield from ((i, i + 1) for i in range(len(data.frames) - 1) if data.keys[i] == data.keys[i + 1])
    yield from nearest_pairs(data.keys, data.descriptors, _NEAR_COMPARED)


def _small_step(data: FrameSet, i: int, j: int) -> bool:
    """Return whether two frames differ by small displacements only."""
    first, second = data.frames[i], data.frames[j]
    if not np.array_equal(first.numbers, second.numbers) or np.abs(first.cell - second.cell).max() > 1e-4:
        return False
    if not same_magnetism(data.surroundings[i], data.surroundings[j]):
        return False
    step = np.abs(shortest(second.positions - first.positions, first)).max(initial=0.0)
    return bool(1e-4 < step < _LARGEST_STEP)


def _work(data: FrameSet, i: int, j: int) -> float:
    """Work of the forces between two frames, eV, by the trapezoidal rule."""
    first, second = data.frames[i], data.frames[j]
    step = shortest(second.positions - first.positions, first)
    return float(-0.5 * ((forces_of(first) + forces_of(second)) * step).sum())


def _reason(ratio: float, data: FrameSet, frames: set[int]) -> str:
    """Likely reason for a ratio of energy change to work, as text; empty if none is known."""
    size = float(np.median(data.n_atoms[sorted(frames)]))
    if abs(ratio + 1) < 0.4:
        return ": gradients instead of forces (opposite sign)"
    if size > 2 and abs(ratio * size - 1) < 0.4:
        return ": energies per atom instead of totals"
    name = explain_ratio(ratio, ENERGY_PER_FORCE_RATIOS)
    return f": {name}?" if name else ""
