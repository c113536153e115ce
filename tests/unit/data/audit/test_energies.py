"""Checks of energies and checks against a base model."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from equisparse.data.audit.finding import Finding
from equisparse.data.audit.registry import audit, audit_sets, frame_sets
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.errors import DataError
from equisparse.quantities import ENERGY, FORCES, STRESS, Quantity
from equisparse.units import matrix_to_voigt, voigt_to_matrix

Base = dict[Quantity, Floats]


def found(findings: Iterable[Finding], code: str) -> Finding:
    """The one finding with a code."""
    (finding,) = (finding for finding in findings if finding.code == code)
    return finding


def scaled(frames: list[LabelledFrame], energy: float = 1, forces: float = 1, stress: float = 1) -> list[LabelledFrame]:
    """Multiply the labels of all frames."""
    return [
        f.with_labels({ENERGY: f.energy * energy, FORCES: f.forces * forces, STRESS: f.stress * stress})
        for f in frames
        if f.energy is not None and f.forces is not None and f.stress is not None
    ]


def offset(frames: list[LabelledFrame], shifts: dict[int, float]) -> list[LabelledFrame]:
    """Add energies per atom to some frames."""
    return [f.with_labels({ENERGY: (f.energy or 0.0) + shifts.get(i, 0.0) * f.n_atoms}) for i, f in enumerate(frames)]


def test_mixed_references(healthy: list[LabelledFrame]) -> None:
    strange = dict.fromkeys((1, 6, 11, 17, 20), -950.0)
    finding = found(audit(offset(healthy, strange)), "mixed-references")
    assert (finding.level, finding.frames) == ("error", tuple(strange))
    mild = found(audit(offset(healthy, dict.fromkeys(strange, 4.0))), "mixed-references")
    assert (mild.level, mild.frames) == ("warning", tuple(strange))


def test_mixed_references_show_earlier_against_a_base(healthy: list[LabelledFrame], base: Base) -> None:
    frames = offset(healthy, dict.fromkeys((1, 6, 11, 17, 20), 1.5))
    assert "mixed-references" not in {f.code for f in audit(frames)}
    assert found(audit(frames, base=base), "mixed-references").frames == (1, 6, 11, 17, 20)


def test_energy_outlier(healthy: list[LabelledFrame]) -> None:
    finding = found(audit(offset(healthy, {8: 5.0})), "energy-outliers")
    assert (finding.level, finding.frames) == ("warning", (8,))
    assert "the worst is frame 8" in finding.message


def test_force_outlier(healthy: list[LabelledFrame]) -> None:
    frames = list(healthy)
    frames[13] = scaled(frames[13:14], forces=200)[0]
    finding = found(audit(frames), "force-outliers")
    assert (finding.level, finding.frames) == ("warning", (13,))


def test_compositions_that_cannot_be_separated(healthy: list[LabelledFrame]) -> None:
    one = [frame for frame in healthy if (frame.numbers == 47).sum() == 2]
    finding = found(audit(one), "unresolved-references")
    assert finding.level == "note"
    assert "Cu, Ag" in finding.message
    half = []
    for frame in healthy:  # Au always as many as Ag: two of three are tied
        atoms = frame.atoms.copy()
        silver = np.flatnonzero(frame.numbers == 47)
        atoms.symbols[[(silver[0] + k) % 8 for k in range(8) if (silver[0] + k) % 8 not in silver][: len(silver)]] = (
            "Au"
        )
        half.append(replace(frame, atoms=atoms))
    tied = found(audit(half), "unresolved-references")
    assert (tied.level, "Ag, Au" in tied.message, "Cu" in tied.message) == ("warning", True, False)


def test_enthalpy_and_pressure(healthy: list[LabelledFrame]) -> None:
    frames = list(healthy)
    for i, info in ((2, {"enthalpy": healthy[2].energy}), (3, {"enthalpy": 5.0}), (4, {"pressure": 10.0})):
        atoms = frames[i].atoms.copy()
        atoms.info |= info
        frames[i] = replace(frames[i], atoms=atoms)
    findings = audit(frames)
    equal, pressed = found(findings, "enthalpy-as-energy"), found(findings, "external-pressure")
    assert (equal.level, equal.frames) == ("error", (2,))
    assert (pressed.level, pressed.frames) == ("note", (4,))


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ({"forces": -1.0}, "gradients"),
        ({"forces": 0.529177 / 27.2114}, "Ha/Bohr"),
        ({"forces": 0.529177 / 13.6057}, "Ry/Bohr"),
        ({"energy": 1 / 27.2114}, "energies in Ha"),
        ({"energy": 1 / 8}, "energies per atom"),
        ({"forces": 23.06}, "forces in kcal/mol"),
        ({"energy": 23.06}, "energies in kcal/mol"),
    ],
)
def test_energies_that_do_not_follow_the_forces(
    trajectory: list[LabelledFrame], factors: dict[str, float], words: str
) -> None:
    finding = found(audit(scaled(trajectory, **factors)), "energy-force-mismatch")
    assert finding.level == "error"
    assert words in finding.message
    assert set(finding.frames) <= set(range(12))


def test_energies_of_other_frames(trajectory: list[LabelledFrame]) -> None:
    order = np.random.default_rng(2).permutation(12)
    frames = [frame.with_labels({ENERGY: trajectory[k].energy}) for frame, k in zip(trajectory, order, strict=True)]
    assert found(audit(frames), "energy-force-mismatch").level == "warning"


def test_a_soft_base_with_other_references_is_no_error(healthy: list[LabelledFrame], base: Base) -> None:
    assert audit(healthy, base=base) == []
    finding = found(audit(offset(healthy, dict.fromkeys(range(24), -500.0)), base=base), "other-references")
    assert finding.level == "note"


@pytest.mark.parametrize(
    ("factor", "code", "words"),
    [
        (-1.0, "force-sign", "opposite"),
        (0.529177 / 27.2114, "force-unit", "Ha/Bohr"),
        (0.529177 / 13.6057, "force-unit", "Ry/Bohr"),
        (23.06, "force-unit", "kcal/mol"),
        (-0.529177 / 27.2114, "force-sign", "opposite sign and forces in Ha/Bohr"),
    ],
)
def test_forces_against_base(healthy: list[LabelledFrame], base: Base, factor: float, code: str, words: str) -> None:
    finding = found(audit(scaled(healthy, forces=factor), base=base), code)
    assert (finding.level, len(finding.frames)) == ("error", 24)
    assert words in finding.message


def test_forces_unlike_base(healthy: list[LabelledFrame], base: Base) -> None:
    mixed = [f.with_labels({FORCES: np.roll(f.forces, 3, axis=0)}) for f in healthy if f.forces is not None]
    assert found(audit(mixed, base=base), "force-unlike-base").level == "warning"
    assert found(audit(scaled(healthy, forces=6.0), base=base), "force-unlike-base").level == "warning"


@pytest.mark.parametrize(("factor", "words"), [(1 / 27.2114, "in Ha"), (23.06, "in kcal/mol"), (1 / 13.6057, "in Ry")])
def test_energy_unit_against_base(healthy: list[LabelledFrame], base: Base, factor: float, words: str) -> None:
    finding = found(audit(scaled(healthy, energy=factor), base=base), "energy-unit")
    assert finding.level == "error"
    assert words in finding.message


@pytest.mark.parametrize(
    ("factor", "code", "words"),
    [
        (-1.0, "stress-sign", "opposite sign"),
        (160.2, "stress-unit", "GPa"),
        (1602.0, "stress-unit", "kbar"),
        (-1602.0, "stress-sign", "opposite sign and stress in kbar"),
        (-160.2, "stress-sign", "opposite sign and stress in GPa"),
    ],
)
def test_stress_sign_and_unit(healthy: list[LabelledFrame], base: Base, factor: float, code: str, words: str) -> None:
    finding = found(audit(scaled(healthy, stress=factor), base=base), code)
    assert (finding.level, len(finding.frames)) == ("error", 24)
    assert words in finding.message


@pytest.mark.parametrize("factor", [1.0, -1602.0])
def test_stress_in_the_order_of_vasp(healthy: list[LabelledFrame], base: Base, factor: float) -> None:
    frames = []
    for frame in scaled(healthy, stress=factor):
        xx, yy, zz, yz, xz, xy = matrix_to_voigt(frame.stress)
        frames.append(frame.with_labels({STRESS: voigt_to_matrix(np.array([xx, yy, zz, xy, yz, xz]))}))
    findings = audit(frames, base=base)
    assert "xx yy zz xy yz xz" in found(findings, "stress-order").message
    assert ("stress-sign" in {f.code for f in findings}) == (factor < 0)


@pytest.mark.parametrize("name", ["valid", "test"])
def test_every_set_is_compared_with_the_base(healthy: list[LabelledFrame], base: Base, name: str) -> None:
    sets = frame_sets(healthy, **{name: scaled(healthy, stress=-1.0)})
    wrong = found(audit_sets({part: data.with_base(base) for part, data in sets.items()}), "stress-sign")
    assert (wrong.level, wrong.dataset) == ("error", name)


def test_predictions_that_are_not_finite(healthy: list[LabelledFrame], base: Base) -> None:
    forces = base[FORCES].copy()
    forces[17, 1] = np.nan
    finding = found(audit(healthy, base=base | {FORCES: forces}), "base-not-finite")
    assert (finding.level, finding.frames) == ("error", (2,))
    stress = base[STRESS].copy()
    stress[5] = np.nan
    assert found(audit(healthy, base=base | {STRESS: stress}), "base-not-finite").frames == (5,)


def test_missing_labels_are_reported_once(healthy: list[LabelledFrame]) -> None:
    bare = [replace(frame, labels={}) for frame in healthy]
    assert found(audit(bare[:12], bare[12:18], bare[18:]), "no-labels").dataset == "train"
    assert found(audit(healthy[:12], bare[12:]), "no-labels").dataset == "valid"


def test_predictions_of_other_frames(healthy: list[LabelledFrame], base: Base) -> None:
    with pytest.raises(DataError, match="do not belong"):
        audit(healthy[:5], base=base)


def test_noise_around_zero_says_nothing(healthy: list[LabelledFrame], base: Base) -> None:
    rng = np.random.default_rng(0)
    tiny = [1e-3 * rng.normal(size=(8, 3)) for _ in healthy]
    flat = base | {FORCES: np.concatenate(tiny), STRESS: 1e-5 * rng.normal(size=(24, 3, 3))}
    frames = [
        f.with_labels({FORCES: -forces / 25.7, STRESS: -s})
        for f, forces, s in zip(healthy, tiny, flat[STRESS], strict=True)
    ]
    assert {f.code for f in audit(frames, base=flat)} <= {"stress-not-symmetric"}


def test_base_without_stress(healthy: list[LabelledFrame], base: Base) -> None:
    frames = scaled(healthy, stress=-1.0)
    assert audit(frames, base={ENERGY: base[ENERGY], FORCES: base[FORCES]}) == []
    partly = base[STRESS].copy()
    partly[::2] = np.nan
    assert found(audit(frames, base=base | {STRESS: partly}), "stress-sign").frames == tuple(range(1, 24, 2))
