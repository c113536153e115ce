"""Checks of the labels alone: missing, zero, not finite, net force, stress matrices."""

import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from equisparse.data.audit.context import FrameSet, forces_of, stress_of
from equisparse.data.audit.finding import Finding, Level
from equisparse.data.frames import LabelledFrame, has_stress
from equisparse.wording import agreeing, counted

_LARGEST_STRESS = 5.0
_ASYMMETRY = 0.02
_NET_FORCE = 0.1
_NET_SHARE = 0.05
_LOST_SHARE = 0.5
_LOST_FRAMES = 3
_FILES_SHOWN = 3
_CONVERGED = re.compile(
    r"(?:is_)?(?:scf_|electronic_|scc_|dft_)?(un|not_)?converged(?:_scf|_electronic)?", re.IGNORECASE
)


def labels_present(data: FrameSet) -> Iterator[Finding]:
    """Find sets without any label, and frames without energies or forces."""
    without_energy = np.flatnonzero([f.energy is None for f in data.frames])
    without_forces = np.flatnonzero([f.forces is None for f in data.frames])
    n = len(data.frames)
    if without_energy.size == without_forces.size == n and not any(f.stress is not None for f in data.frames):
        yield data.finding(
            "error",
            "no-labels",
            agreeing(n, "the frame has no energy, forces or", f"none of the {n:,} frames has an energy, forces or a")
            + f" stress; names in the file: {_stored_names(data)}",
            (),
            "name the keys of the labels with --energy-key, --forces-key and --stress-key",
        )
        return
    for name, missing in (("energy", without_energy), ("forces", without_forces)):
        if missing.size:
            yield data.finding(
                "warning" if missing.size == n else "note",
                f"no-{name}",
                f"{missing.size:,} of {counted(n, 'frame')} {agreeing(missing.size, 'has', 'have')} no {name} label; "
                f"the loss ignores the {name} there",
                missing,
                f"if this is not intended, name the key with --{name}-key, or remove these frames",
            )
    without_stress = [i for i, f in enumerate(data.frames) if f.stress is None and _may_have_stress(data, i)]
    if data.with_stress and without_stress:
        yield data.finding(
            "note",
            "no-stress",
            f"{len(without_stress):,} of {counted(n, 'frame')} {agreeing(len(without_stress), 'has', 'have')} a cell "
            "but no stress label, and others have one",
            without_stress,
            "if this is not intended, name the key with --stress-key",
        )


def labels_finite(data: FrameSet) -> Iterator[Finding]:
    """Find labels that are NaN or infinite."""
    for name in ("energy", "forces", "stress"):
        values = [getattr(frame, name) for frame in data.frames]
        bad = [i for i, value in enumerate(values) if value is not None and not np.isfinite(value).all()]
        if bad:
            yield data.finding(
                "error",
                "not-finite",
                f"{name} is NaN or infinite in {counted(len(bad), 'frame')}",
                bad,
                "remove these frames: the calculation failed or the file is damaged",
            )


def labels_zero(data: FrameSet) -> Iterator[Finding]:
    """Find energies, forces and stresses that are exactly zero and should not be."""
    energy = np.flatnonzero(data.energies == 0)
    if energy.size:
        yield data.finding(
            "error",
            "zero-energy",
            f"the energy is exactly 0 in {energy.size:,} of {counted(len(data.frames), 'frame')}: probably a "
            "placeholder",
            energy,
            "check the energy key, or remove these frames",
        )
    yield from _zero_forces(data)
    yield from _zero_stress(data)


def scf_converged(data: FrameSet) -> Iterator[Finding]:
    """Find frames whose electronic cycle did not converge, from the output file or from their own information."""
    failed = [i for i, frame in enumerate(data.frames) if _says_unconverged(frame)]
    if failed:
        files = sorted({data.frames[i].source for i in failed})
        yield data.finding(
            "warning",
            "scf-not-converged",
            f"the electronic cycle did not converge in {len(failed):,} of {counted(len(data.frames), 'frame')}, from "
            + ", ".join(files[:_FILES_SHOWN])
            + (" ..." if len(files) > _FILES_SHOWN else ""),
            failed,
            "remove these frames, or repeat the calculations with more cycles (NELM in VASP)",
        )


def constrained_zeros(data: FrameSet) -> Iterator[Finding]:
    """Find forces that constraints set to zero: on constrained atoms, or on the same atoms in many frames."""
    held = [i for i in data.with_forces if _held_are_zero(data, i)]
    if held:
        yield data.finding(
            "error",
            "constrained-zero-forces",
            f"in {counted(len(held), 'frame')} the force on all constrained atoms is exactly 0: the constraints were "
            "applied to the stored forces, which are therefore no labels",
            held,
            "read the output of the code (OUTCAR, vasprun.xml), or write get_forces(apply_constraint=False)",
        )
    lost = _lost_constraints(data)
    if lost:
        atoms = sorted({atom for _, zero in lost for atom in zero})
        level: Level = "error" if np.median([_net_share(data, i) for i, _ in lost]) > _NET_SHARE else "warning"
        yield data.finding(
            level,
            "partial-zero-forces",
            f"the force on the same atoms ({len(atoms)}, the first has index {atoms[0]}) is exactly 0 in "
            f"{counted(len(lost), 'frame')}, while other atoms have forces"
            + ("; the sum of all forces is not 0" if level == "error" else ""),
            [i for i, _ in lost],
            "if these atoms were fixed, read the forces from the output of the code; forces can also be 0 by symmetry",
        )


def net_force(data: FrameSet) -> Iterator[Finding]:
    """Find frames whose forces do not add up to zero."""
    bad = [i for i in data.with_forces if data.frames[i].n_atoms > 1 and _has_net_force(data, i)]
    if bad:
        worst = max(bad, key=lambda i: _net_share(data, i))
        total = np.linalg.norm(forces_of(data.frames[worst]).sum(axis=0))
        yield data.finding(
            "warning",
            "net-force",
            f"forces do not add up to 0 in {counted(len(bad), 'frame')}; the worst is frame {worst} with {total:.3g} "
            "eV/Angstrom",
            bad,
            "look for constrained atoms, missing atoms, an external field, or unconverged forces",
        )


def stress_plausible(data: FrameSet) -> Iterator[Finding]:
    """Find stress matrices that are not symmetric, or so large that the unit must be wrong."""
    stresses = {i: stress_of(data.frames[i]) for i in data.with_stress}
    skew = [i for i, s in stresses.items() if np.abs(s - s.T).max() > max(1e-4, _ASYMMETRY * np.abs(s).max())]
    if skew:
        yield data.finding(
            "warning",
            "stress-not-symmetric",
            f"the stress matrix is not symmetric in {counted(len(skew), 'frame')}",
            skew,
            "check how the nine components were written; the virial of a part of the system is no label",
        )
    large = [i for i, s in stresses.items() if np.abs(s).max() > _LARGEST_STRESS]
    if large:
        top = max(np.abs(stresses[i]).max() for i in large)
        yield data.finding(
            "error" if len(large) > len(stresses) / 2 else "warning",
            "stress-too-large",
            f"the stress reaches {top:.3g} eV/Angstrom^3 ({top * 160.2:.3g} GPa) in {len(large):,} of "
            f"{counted(len(stresses), 'frame')}: values in GPa or kbar read as eV/Angstrom^3?",
            large,
            "give the unit of the stress with --stress-unit",
        )


def _says_unconverged(frame: LabelledFrame) -> bool:
    """Return whether a frame has information such as ``scf_converged=F`` or ``unconverged=T``."""
    for name, value in frame.atoms.info.items():
        match = _CONVERGED.fullmatch(str(name))
        if match and isinstance(value, (bool, np.bool_, int, np.integer)):
            return bool(value) == bool(match[1])
    return False


def _may_have_stress(data: FrameSet, number: int) -> bool:
    """Return whether a frame has a complete cell and atoms that interact."""
    return has_stress(data.frames[number].atoms) and bool(np.isfinite(data.nearest_range[number, 0]))


def _stored_names(data: FrameSet) -> str:
    """Names of all values stored with the frames, as text."""
    names = {name for f in data.frames for name in [*f.atoms.info, *f.atoms.arrays]} - {"numbers", "positions"}
    return ", ".join(sorted(map(str, names))) or "nothing"


def _zero_forces(data: FrameSet) -> Iterator[Finding]:
    """Find frames in which all forces are exactly zero, but not by symmetry."""
    several = [i for i in data.with_forces if data.frames[i].n_atoms > 1]
    zero = [i for i in several if not forces_of(data.frames[i]).any()]
    odd = [i for i in zero if not data.symmetric[i]]
    if not odd:
        return
    all_zero = len(zero) == len(several)
    yield data.finding(
        "error" if all_zero else "warning",
        "zero-forces",
        f"the forces on all atoms are exactly 0 in {len(odd):,} of {counted(len(several), 'frame')}, but not by "
        "symmetry",
        odd,
        "check the forces key, or remove the forces of these frames",
    )


def _zero_stress(data: FrameSet) -> Iterator[Finding]:
    """Find stresses that are exactly zero although atoms interact."""
    stressed = [i for i in data.with_stress if _may_have_stress(data, i)]
    zero = [i for i in stressed if not stress_of(data.frames[i]).any()]
    if zero:
        yield data.finding(
            "error",
            "zero-stress",
            f"the stress is exactly 0 in {len(zero):,} of {counted(len(stressed), 'frame')} with a stress: probably it "
            "was not computed",
            zero,
            "remove the stress of these frames, set config_stress_weight=0 there, or name the right key with "
            "--stress-key",
        )


def _held_are_zero(data: FrameSet, number: int) -> bool:
    """Return whether the forces on constrained atoms are exactly zero, and others are not."""
    frame = data.frames[number]
    forces = forces_of(frame)
    return bool(frame.fixed.any() and not forces[frame.fixed].any() and forces[~frame.fixed].any())


def _lost_constraints(data: FrameSet) -> list[tuple[int, tuple[int, ...]]]:
    """Frames, and their atoms without force, that also have none in at least half of the frames of the same atoms."""
    zeros: dict[bytes, list[tuple[int, tuple[int, ...]]]] = defaultdict(list)
    for i in data.with_forces:
        frame, forces = data.frames[i], forces_of(data.frames[i])
        if forces.any() and not frame.fixed.any():
            zeros[frame.numbers.tobytes()].append((i, tuple(np.flatnonzero(~forces.any(axis=1)).tolist())))
    lost = []
    for frames in zeros.values():
        common = _common_atoms([atoms for _, atoms in frames])
        hits = [(i, tuple(sorted(common & set(atoms)))) for i, atoms in frames if common & set(atoms)]
        lost += hits if len(hits) >= _LOST_FRAMES else []
    return lost


def _common_atoms(atoms: list[tuple[int, ...]]) -> set[int]:
    """Indices of the atoms that occur in at least half of some tuples, and in at least three."""
    counts = np.bincount(np.concatenate([np.asarray(a, dtype=int) for a in atoms]))
    return set(np.flatnonzero(counts >= max(_LOST_FRAMES, _LOST_SHARE * len(atoms))).tolist())


def _net_share(data: FrameSet, number: int) -> float:
    """Magnitude of the total force, as a fraction of the sum of the magnitudes of all forces."""
    forces = forces_of(data.frames[number])
    return float(np.linalg.norm(forces.sum(axis=0)) / max(np.linalg.norm(forces, axis=1).sum(), 1e-12))


def _has_net_force(data: FrameSet, number: int) -> bool:
    """Return whether the total force of a frame is clearly not zero."""
    total = np.linalg.norm(forces_of(data.frames[number]).sum(axis=0))
    return bool(total > _NET_FORCE and _net_share(data, number) > _NET_SHARE)
