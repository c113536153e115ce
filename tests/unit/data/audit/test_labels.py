"""Checks of the labels: each has a broken set that triggers it, with the right frames."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from equisparse.data.audit.finding import Finding, has_errors
from equisparse.data.audit.registry import audit
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.quantities import ENERGY, FORCES, STRESS, find_quantity


def found(findings: Iterable[Finding], code: str) -> Finding:
    """The one finding with a code."""
    (finding,) = (finding for finding in findings if finding.code == code)
    return finding


def broken(frames: list[LabelledFrame], numbers: Iterable[int], **change: object) -> list[LabelledFrame]:
    """Copy of the list with some frames changed."""
    chosen, labels = set(numbers), {find_quantity(name): value for name, value in change.items()}
    return [frame.with_labels(labels) if i in chosen else frame for i, frame in enumerate(frames)]


def test_nothing_is_found_in_healthy_frames(healthy: list[LabelledFrame], trajectory: list[LabelledFrame]) -> None:
    assert audit(healthy[:16], healthy[16:20], healthy[20:], elements={29, 47}) == []
    assert [finding.code for finding in audit(trajectory)] == ["unresolved-references"]


def test_no_labels(healthy: list[LabelledFrame]) -> None:
    frames = broken(healthy, range(24), energy=None, forces=None, stress=None)
    frames[0].atoms.info["total_energy"] = 1.0
    finding = found(audit(frames), "no-labels")
    assert finding.level == "error"
    assert "total_energy" in finding.message
    del frames[0].atoms.info["total_energy"]


@pytest.mark.parametrize("name", ["energy", "forces"])
def test_missing_labels(healthy: list[LabelledFrame], name: str) -> None:
    some = found(audit(broken(healthy, [3, 5], **{name: None})), f"no-{name}")
    assert (some.level, some.frames) == ("note", (3, 5))
    every = found(audit(broken(healthy, range(24), **{name: None})), f"no-{name}")
    assert (every.level, every.frames) == ("warning", tuple(range(24)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("energy", np.nan), ("energy", -np.inf), ("forces", np.full((8, 3), np.nan)), ("stress", np.full((3, 3), np.inf))],
)
def test_not_finite(healthy: list[LabelledFrame], name: str, value: float | Floats) -> None:
    finding = found(audit(broken(healthy, [2, 11], **{name: value})), "not-finite")
    assert (finding.level, finding.frames) == ("error", (2, 11))
    assert name in finding.message


def test_zero_energy(healthy: list[LabelledFrame]) -> None:
    finding = found(audit(broken(healthy, [4], energy=0.0)), "zero-energy")
    assert (finding.level, finding.frames) == ("error", (4,))


def test_zero_forces(healthy: list[LabelledFrame]) -> None:
    some = found(audit(broken(healthy, [4, 6], forces=np.zeros((8, 3)))), "zero-forces")
    assert (some.level, some.frames) == ("warning", (4, 6))
    every = found(audit(broken(healthy, range(24), forces=np.zeros((8, 3)))), "zero-forces")
    assert (every.level, len(every.frames)) == ("error", 24)


def test_zero_forces_by_symmetry_are_right(make: Callable[..., LabelledFrame]) -> None:
    frames = [make(bulk("Cu", "fcc", a, cubic=True), i) for i, a in enumerate(np.linspace(3.5, 3.8, 12))]
    frames = broken(frames, range(12), forces=np.zeros((4, 3)))
    assert audit(frames) == []


def test_zero_stress(healthy: list[LabelledFrame]) -> None:
    finding = found(audit(broken(healthy, range(24), stress=np.zeros((3, 3)))), "zero-stress")
    assert (finding.level, len(finding.frames)) == ("error", 24)
    some = found(audit(broken(healthy, [1, 5], stress=np.zeros((3, 3)))), "zero-stress")
    assert (some.level, some.frames) == ("error", (1, 5))


def hold(frame: LabelledFrame, atoms: list[int], *, remember: bool) -> LabelledFrame:
    """Set the forces of some atoms to zero, with or without the memory of a constraint."""
    assert frame.forces is not None
    forces, fixed = frame.forces.copy(), np.zeros(frame.n_atoms, dtype=bool)
    forces[atoms] = 0.0
    fixed[atoms] = remember
    return replace(frame, fixed=fixed).with_labels({FORCES: forces})


def test_constrained_zeros(healthy: list[LabelledFrame]) -> None:
    frames = [hold(frame, [0, 3], remember=True) if i < 3 else frame for i, frame in enumerate(healthy)]
    finding = found(audit(frames), "constrained-zero-forces")
    assert (finding.level, finding.frames) == ("error", (0, 1, 2))
    kept = [replace(frame, fixed=np.arange(8) < 2) for frame in healthy]
    assert audit(kept) == []


def test_zeros_of_lost_constraints(trajectory: list[LabelledFrame]) -> None:
    frames = [hold(frame, [0, 3], remember=False) for frame in trajectory]
    finding = found(audit(frames), "partial-zero-forces")
    assert (finding.level, finding.frames) == ("error", tuple(range(12)))
    assert "(2, the first has index 0)" in finding.message


def test_zeros_by_symmetry_are_a_warning() -> None:
    rng = np.random.default_rng(0)
    frames = []
    for i in range(12):
        half = rng.normal(0, 0.3, (2, 3))
        places = np.array([[0, 0, 0], [2, 0, 0], [-2, 0, 0], [0, 2, 0], [0, -2, 0]], dtype=float)
        places[1:] += 0.2 * np.repeat(half, 2, axis=0) * [[1], [-1], [1], [-1]]
        forces = np.vstack([np.zeros(3), *(sign * h for h in half for sign in (1, -1))])
        atoms = Atoms("SiH4", positions=places, cell=np.eye(3) * 12, pbc=True)
        frames.append(LabelledFrame(atoms, {ENERGY: np.array(-20.0 + rng.normal(0, 0.1)), FORCES: forces}, "x", i))
    findings = audit(frames)
    assert found(findings, "partial-zero-forces").level == "warning"
    assert not has_errors(findings)


def test_net_force(healthy: list[LabelledFrame]) -> None:
    drift = [f.with_labels({FORCES: f.forces + 0.5}) if i in (7, 9) else f for i, f in enumerate(healthy)]
    finding = found(audit(drift), "net-force")
    assert (finding.level, finding.frames) == ("warning", (7, 9))


def test_stress_matrix_that_is_not_symmetric(healthy: list[LabelledFrame]) -> None:
    skew = np.array([[0.1, 0.05, 0], [0, 0.1, 0], [0, 0, 0.1]])
    finding = found(audit(broken(healthy, [5], stress=skew)), "stress-not-symmetric")
    assert (finding.level, finding.frames) == ("warning", (5,))


def test_stress_in_gigapascal(healthy: list[LabelledFrame]) -> None:
    frames = [frame.with_labels({STRESS: frame.stress * 1602.2}) for frame in healthy]
    finding = found(audit(frames), "stress-too-large")
    assert finding.level == "error"
    assert "GPa or kbar" in finding.message
    one = found(audit(broken(healthy, [5], stress=np.eye(3) * 6)), "stress-too-large")
    assert (one.level, one.frames) == ("warning", (5,))


def test_valid_and_test_are_checked_too(healthy: list[LabelledFrame]) -> None:
    finding = found(audit(healthy[:12], healthy[12:18], broken(healthy[18:], [2], energy=np.nan)), "not-finite")
    assert (finding.dataset, finding.frames) == ("test", (2,))


def test_one_frame_is_counted_in_the_singular(healthy: list[LabelledFrame]) -> None:
    assert "1 of 24 frames has no forces label" in found(audit(broken(healthy, [3], forces=None)), "no-forces").message
    assert found(audit(broken(healthy, [3], energy=np.nan)), "not-finite").message.endswith("in 1 frame")
    assert found(audit([*healthy, healthy[0]]), "duplicate-frames").message == "1 frame is equal to an earlier frame"
