"""Merge an adapter into a checkpoint of the upstream package, and check that both predict the same."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.open_cells import in_safe_order
from equisparse.data.frames import Floats, has_stress
from equisparse.deploy.calculator import AdaptedCalculator, check_adapter
from equisparse.errors import EquisparseWarning, PrecisionError, StateError
from equisparse.wording import counted

ENERGY_TOLERANCE = 1e-5
"""Tolerance in eV per atom: float32 sums over neighbours in another order; the resolution of the energy is added."""
LARGEST_ENERGY_TOLERANCE = 1e-3
"""Largest tolerance of energies and of their differences between frames, eV per atom, whatever the resolution."""
FORCE_TOLERANCE = 1e-4
"""Tolerance in eV/Angstrom, or as a fraction of the largest force if that exceeds 1 eV/Angstrom."""
STRESS_TOLERANCE = 1e-5
"""Tolerance in eV/Angstrom^3 if no stress component exceeds 0.1 eV/Angstrom^3."""
STRESS_FRACTION = 1e-4
"""Tolerance for larger stresses, as a fraction of the largest component."""


@dataclass(frozen=True)
class MergeCheck:
    """Largest differences between the adapted model and the native file under the upstream's own calculator.

    Parameters
    ----------
    n_frames : int
        Frames compared.
    energy : float
        Difference of energies, eV per atom.
    energy_rounding : float
        Resolution of single precision for these total energies, eV per atom.
    forces : float
        Difference of forces, eV/Angstrom.
    stress : float
        Difference of stresses of frames that have one, eV/Angstrom^3.
    equal : bool
        Whether all differences are within tolerance.
    relative_energy : float or None
        Difference of relative energies: of the energy per atom of one frame, less that of another, eV per atom. None
        in runs of earlier versions.
    only_rounding : bool
        True if the check fails because single precision cannot hold such large total energies, and for no other reason.
    stress_factor : float
        Factor by which the stresses of the upstream's own calculator were multiplied before the comparison, for slabs
        and wires whose virial it divides by another volume than that of the cell; the one that is farthest from 1.
    """

    n_frames: int
    energy: float
    energy_rounding: float
    forces: float
    stress: float
    equal: bool
    relative_energy: float | None = None
    only_rounding: bool = False
    stress_factor: float = 1.0

    def __str__(self) -> str:
        coarse = "energies are equal only within the rounding of the file"
        verdict = "equal" if self.equal else coarse if self.only_rounding else "NOT EQUAL"
        relative = "" if self.relative_energy is None else f"relative {self.relative_energy * 1e3:.2g}, "
        volume = (
            f"; stresses of slabs and wires from the upstream's own calculator were multiplied by up to "
            f"{self.stress_factor:.3g}, because it divides by another volume than that of the cell"
        )
        return (
            f"{verdict}: native file against adapter on {counted(self.n_frames, 'frame')}, largest differences: "
            f"energy {self.energy * 1e3:.2g} meV/atom ({relative}rounding {self.energy_rounding * 1e3:.2g}), "
            f"force {self.forces * 1e3:.2g} meV/Angstrom, stress {self.stress:.2g} eV/Angstrom^3"
            + (volume if self.stress_factor != 1.0 else "")
        )


def write_merged(
    backbone: AbstractBackbone, adapter: Adapter, path: Path, frames: Sequence[Atoms], *, shifts: bool = True
) -> MergeCheck:
    """Write the native checkpoint of base and adapter, and compare it with the adapter by the upstream's calculator.

    A spin layer is not part of the checkpoint, nor of the comparison: see `equisparse.adapters.adapter.SPINS_STAY`.

    Parameters
    ----------
    backbone : AbstractBackbone
        Untouched base; untouched again afterwards.
    adapter : Adapter
    path : Path
        Target; the file gets this name after the check.
    frames : sequence of Atoms
        Structures for the comparison, at least one.
    shifts : bool
        Whether the file contains the fitted reference energies; without them its energies have those of the base.

    Raises
    ------
    AdapterMismatchError
        If the adapter belongs to another base.
    PrecisionError
        If the file cannot hold the reference energies precisely enough; no file is left.
    StateError
        If the adapter changes no weights, or if the predictions of the file differ from those of the adapter. Such a
        file is renamed to ``<path>.rejected``.
    """
    check_adapter(backbone, adapter)
    adapter.check_mergeable()
    unchecked = path.with_name(f"unchecked-{path.name}")
    stored = dict(adapter.shifts) if shifts else {}
    with adapter.applied(backbone.model):
        backbone.save_native(unchecked, stored)
        check = compare(AdaptedCalculator(backbone, stored), backbone, unchecked, frames)
    if check.only_rounding:
        unchecked.unlink()
        raise _too_coarse(check)
    if not check.equal:
        rejected = path.with_name(path.name + ".rejected")
        unchecked.replace(rejected)
        raise StateError(
            "The predictions of the native file differ from those of the adapter.",
            given=str(check),
            cause="another version of the upstream package, or an error in equisparse",
            next_step=f"please report it with the file {rejected}",
        )
    unchecked.replace(path)
    return check


def compare(ours: AdaptedCalculator, backbone: AbstractBackbone, path: Path, frames: Sequence[Atoms]) -> MergeCheck:
    """Largest differences between our calculator and the upstream's over all frames.

    Warnings about elements of these frames are left out: their energies need not be right, only equal.
    """
    theirs = backbone.upstream_calculator(path)
    bare = [in_safe_order(Atoms(a.numbers, positions=a.positions, cell=a.cell, pbc=a.pbc)) for a in frames]
    factors = [
        backbone.upstream_volume(atoms) / float(atoms.cell.volume) if has_stress(atoms) else 1.0 for atoms in bare
    ]
    other = [_predicted(theirs, atoms, factor) for atoms, factor in zip(bare, factors, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EquisparseWarning)
        own = [_predicted(ours, atoms) for atoms in bare]
    check = judged(own, other)
    return replace(check, stress_factor=max(factors, key=_away_from_one))


@dataclass(frozen=True, eq=False)
class Predicted:
    """Energy, eV, forces, eV/Angstrom, and stress, eV/Angstrom^3 (zero if there is none), of one frame."""

    energy: float
    forces: Floats
    stress: Floats


def judged(ours: Sequence[Predicted], theirs: Sequence[Predicted]) -> MergeCheck:
    """Compare the predictions of two calculators for the same frames."""
    n_atoms = np.array([float(len(own.forces)) for own in ours])
    own_energies, other_energies = (np.array([p.energy for p in predictions]) for predictions in (ours, theirs))
    offsets = (other_energies - own_energies) / n_atoms
    rounding = float((16 * _RESOLUTION * np.abs(own_energies) / n_atoms).max())
    energy, relative = float(np.abs(offsets).max()), float(np.ptp(offsets))
    forces, largest_force = _difference([p.forces for p in ours], [p.forces for p in theirs])
    stress, largest_stress = _difference([p.stress for p in ours], [p.stress for p in theirs])
    others_equal = forces <= FORCE_TOLERANCE * max(1.0, largest_force) and stress <= max(
        STRESS_TOLERANCE, STRESS_FRACTION * largest_stress
    )
    worst = max(energy, relative)
    within = worst <= min(ENERGY_TOLERANCE + rounding, LARGEST_ENERGY_TOLERANCE)
    equal = others_equal and within and not _too_few_digits(other_energies, n_atoms)
    only_rounding = others_equal and not equal and worst <= ENERGY_TOLERANCE + 2 * rounding
    return MergeCheck(len(ours), energy, rounding, forces, stress, equal, relative, only_rounding)


_RESOLUTION = float(np.finfo(np.float32).eps)


def _too_few_digits(energies: Floats, n_atoms: Floats) -> bool:
    """Return whether energies are in single precision that is too coarse for them, even if these few agree by luck."""
    single = energies.astype(np.float32)
    steps = np.spacing(np.abs(single)) / n_atoms
    return bool((single == energies).all() and (steps / 2 > LARGEST_ENERGY_TOLERANCE).any())


def _away_from_one(factor: float) -> float:
    """Size of a factor or of its inverse, whichever is larger."""
    return max(factor, 1 / factor)


def _predicted(calculator: Calculator, atoms: Atoms, factor: float = 1.0) -> Predicted:
    """Predictions of one frame; the stress is multiplied by `factor`."""
    frame = Atoms(atoms, calculator=calculator)
    stress = factor * frame.get_stress() if has_stress(frame) else np.zeros(6)
    return Predicted(float(frame.get_potential_energy()), frame.get_forces(), stress)


def _difference(ours: Sequence[Floats], theirs: Sequence[Floats]) -> tuple[float, float]:
    """Largest difference, and largest value of the first; not a number if any value is none."""
    own, other = np.concatenate(ours), np.concatenate(theirs)
    return float(np.abs(own - other).max()), float(np.abs(own).max())


def _too_coarse(check: MergeCheck) -> PrecisionError:
    """Error for reference energies that a file in single precision cannot hold."""
    return PrecisionError(
        "The native file cannot hold the reference energies precisely enough.",
        given=f"energies off by {check.energy * 1e3:.2g} meV/atom; forces and stress are equal",
        expected=f"at most {LARGEST_ENERGY_TOLERANCE * 1e3:g} meV/atom",
        cause="very large total energies, such as all-electron energies, in a file in single precision",
        next_step=WITHOUT_SHIFTS,
    )


TOO_COARSE = "a file in single precision cannot hold such large reference energies to 1 meV/atom"
"""Reason why an adapter is not merged."""
WITHOUT_SHIFTS = (
    "use the adapter with `equisparse.calculator`, or write a file without the fitted reference energies, "
    "`equisparse merge --no-shifts`: `equisparse.ShiftedCalculator` adds them to the upstream's calculator"
)
"""How to use an adapter whose reference energies do not fit into a native file."""
