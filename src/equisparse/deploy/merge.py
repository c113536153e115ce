"""Merge an adapter into a checkpoint of the upstream package, and check that both predict the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ase import Atoms

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.data.frames import has_stress
from equisparse.deploy.calculator import AdaptedCalculator, check_adapter
from equisparse.errors import StateError

ENERGY_TOLERANCE = 1e-5
"""Tolerance in eV per atom: float32 sums over neighbours in another order."""
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
    """

    n_frames: int
    energy: float
    energy_rounding: float
    forces: float
    stress: float
    equal: bool

    def __str__(self) -> str:
        verdict = "equal" if self.equal else "NOT EQUAL"
        return (
            f"{verdict}: native file against adapter on {self.n_frames} frames, largest differences: "
            f"energy {self.energy * 1e3:.2g} meV/atom (rounding {self.energy_rounding * 1e3:.2g}), "
            f"force {self.forces * 1e3:.2g} meV/Angstrom, stress {self.stress:.2g} eV/Angstrom^3"
        )


def write_merged(backbone: AbstractBackbone, adapter: Adapter, path: Path, frames: Sequence[Atoms]) -> MergeCheck:
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

    Raises
    ------
    AdapterMismatchError
        If the adapter belongs to another base.
    StateError
        If the adapter changes no weights, or if the predictions of the file differ from those of the adapter. Such a
        file is renamed to ``<path>.rejected``.
    """
    check_adapter(backbone, adapter)
    adapter.check_mergeable()
    unchecked = path.with_name(f"unchecked-{path.name}")
    with adapter.applied(backbone.model):
        backbone.save_native(unchecked, adapter.shifts)
        check = compare(AdaptedCalculator(backbone, adapter.shifts), backbone, unchecked, frames)
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
    """Largest differences between our calculator and the upstream's over all frames."""
    theirs = backbone.upstream_calculator(path)
    rows = [_differences(ours, theirs, atoms) for atoms in frames]
    energy, rounding, forces, force_scale, stress, stress_scale = (max(column) for column in zip(*rows, strict=True))
    equal = (
        energy <= ENERGY_TOLERANCE + rounding
        and forces <= FORCE_TOLERANCE * max(1.0, force_scale)
        and stress <= max(STRESS_TOLERANCE, STRESS_FRACTION * stress_scale)
    )
    return MergeCheck(len(rows), energy, rounding, forces, stress, equal)


def _differences(ours: AdaptedCalculator, theirs: object, atoms: Atoms) -> tuple[float, ...]:
    """Energy, its rounding, force, force scale, stress, stress scale of one frame."""
    results = []
    for calculator in (ours, theirs):
        frame = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc, calculator=calculator)
        stress = frame.get_stress() if has_stress(frame) else np.zeros(6)
        results.append((frame.get_potential_energy(), frame.get_forces(), stress))
    (e1, f1, s1), (e2, f2, s2) = results
    rounding = 16 * torch.finfo(torch.float32).eps * abs(e1) / len(atoms)
    return (
        abs(e1 - e2) / len(atoms),
        rounding,
        float(np.abs(f1 - f2).max()),
        float(np.abs(f1).max()),
        float(np.abs(s1 - s2).max()),
        float(np.abs(s1).max()),
    )
