"""Checks of structures and of repeated frames."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from equisparse.data.audit.finding import Finding
from equisparse.data.audit.registry import audit
from equisparse.data.frames import LabelledFrame
from equisparse.errors import DataError
from equisparse.quantities import ENERGY, STRESS, find_quantity


def found(findings: Iterable[Finding], code: str) -> Finding:
    """The one finding with a code."""
    (finding,) = (finding for finding in findings if finding.code == code)
    return finding


def moved(frame: LabelledFrame, atom: int, position: Iterable[float]) -> LabelledFrame:
    """Put one atom elsewhere and keep the labels."""
    atoms = frame.atoms.copy()
    atoms.positions[atom] = position
    return replace(frame, atoms=atoms)


def test_unknown_elements(healthy: list[LabelledFrame]) -> None:
    atoms = healthy[6].atoms.copy()
    atoms.symbols[0] = "Po"
    finding = found(audit([*healthy[:6], replace(healthy[6], atoms=atoms)], elements={29, 47}), "unknown-elements")
    assert (finding.level, finding.frames) == ("error", (6,))
    assert "Po" in finding.message


def test_close_atoms_also_across_the_boundary(healthy: list[LabelledFrame]) -> None:
    frame = healthy[3]
    near_image = frame.positions[1] + frame.cell[0] + [0.3, 0, 0]
    frames = [*healthy[:3], moved(frame, 0, near_image), *healthy[4:]]
    finding = found(audit(frames), "atoms-too-close")
    assert (finding.level, finding.frames) == ("error", (3,))
    assert "0.3 Angstrom in frame 3" in finding.message


def test_coinciding_atoms(healthy: list[LabelledFrame]) -> None:
    frames = [*healthy[:3], moved(healthy[3], 0, healthy[3].positions[1])]
    assert found(audit(frames), "atoms-too-close").frames == (3,)


def test_evaporated_atom(make: Callable[..., LabelledFrame]) -> None:
    frames = []
    for i in range(12):
        atoms = molecule("CH4")
        atoms.positions += np.random.default_rng(i).normal(0, 0.05, (5, 3))
        atoms.set_cell(np.eye(3) * 30)
        if i == 4:
            atoms.positions[1] += [9, 0, 0]
        frames.append(make(atoms, i))
    finding = found(audit(frames), "isolated-atoms")
    assert (finding.level, finding.frames) == ("warning", (4,))


def test_single_atoms_and_primitive_cells(make: Callable[..., LabelledFrame], healthy: list[LabelledFrame]) -> None:
    boxed = Atoms("Cu", cell=np.eye(3) * 15, pbc=True)
    primitive = bulk("Cu", "fcc", 3.6)
    frames = [*healthy, make(Atoms("Cu"), 24), make(boxed, 25), make(primitive, 26)]
    frames[25] = frames[25].with_labels({STRESS: None})
    findings = audit(frames)
    assert [f.code for f in findings] == ["single-atoms"]
    assert found(findings, "single-atoms").frames == (24, 25)


def test_cells(healthy: list[LabelledFrame]) -> None:
    flat, open_cell = healthy[2].atoms.copy(), healthy[5].atoms.copy()
    flat.set_cell(np.zeros((3, 3)))
    open_cell.pbc = [True, True, False]
    frames = list(healthy)
    frames[2], frames[5] = replace(frames[2], atoms=flat), replace(frames[5], atoms=open_cell)
    findings = audit(frames)
    assert (found(findings, "no-cell").level, found(findings, "no-cell").frames) == ("error", (2,))
    finite = found(findings, "stress-without-pbc")
    assert (finite.level, finite.frames) == ("warning", (5,))


def test_stress_labels_of_frames_that_have_no_stress(healthy: list[LabelledFrame]) -> None:
    frames = list(healthy)
    for index, (pbc, cell) in {2: ([False] * 3, None), 5: ([True, True, False], [9.0, 9.0, 0.0])}.items():
        atoms = frames[index].atoms.copy()
        atoms.pbc = pbc
        if cell:
            atoms.set_cell(cell)
        frames[index] = replace(frames[index], atoms=atoms)
    findings = audit(frames)
    unused = found(findings, "stress-not-used")
    assert (unused.level, unused.frames) == ("warning", (2, 5))
    assert not {"stress-without-pbc", "no-cell"} & {f.code for f in findings}


def test_a_periodic_direction_without_a_vector(healthy: list[LabelledFrame]) -> None:
    atoms = healthy[2].atoms.copy()
    atoms.set_cell([9.0, 0.0, 9.0])
    atoms.pbc = [False, True, True]
    assert found(audit([*healthy, replace(healthy[2], atoms=atoms)]), "no-cell").frames == (24,)


def test_flat_cells_do_not_stop_the_audit(healthy: list[LabelledFrame]) -> None:
    flat = healthy[2].atoms.copy()
    flat.set_cell(np.outer([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]))
    frames = [*healthy, replace(healthy[2], atoms=flat), replace(healthy[2], atoms=flat)]
    assert found(audit(frames), "no-cell").frames == (24, 25)


def test_few_frames(healthy: list[LabelledFrame]) -> None:
    assert found(audit(healthy[:9]), "few-frames").level == "note"
    assert audit(healthy[:10]) == []


def test_no_frames() -> None:
    with pytest.raises(DataError, match="There are no training frames"):
        audit([])


def test_duplicates_with_equal_labels(healthy: list[LabelledFrame]) -> None:
    wrapped = healthy[4].atoms.copy()
    wrapped.positions += 5e-5
    wrapped.wrap()
    findings = audit([*healthy, healthy[2], replace(healthy[4], atoms=wrapped)])
    finding = found(findings, "duplicate-frames")
    assert (finding.level, finding.frames) == ("warning", (24, 25))
    assert [f.code for f in findings] == ["duplicate-frames"]


@pytest.mark.parametrize("name", ["energy", "forces", "stress"])
def test_duplicates_with_other_labels(healthy: list[LabelledFrame], name: str) -> None:
    assert healthy[2].energy is not None
    assert healthy[2].forces is not None
    changed = {"energy": healthy[2].energy + 0.1, "forces": healthy[2].forces[::-1], "stress": np.eye(3) * 0.01}
    other = healthy[2].with_labels({find_quantity(name): changed[name]})
    finding = found(audit([*healthy, other]), "duplicates-disagree")
    assert (finding.level, finding.frames) == ("error", (2, 24))


def with_spins(frame: LabelledFrame, spins: list[int], energy: float) -> LabelledFrame:
    """Give a frame spins and another energy."""
    atoms = frame.atoms.copy()
    atoms.arrays["REF_magmom"] = np.array(spins, dtype=float)
    return replace(frame, atoms=atoms).with_labels({ENERGY: energy})


def test_duplicates_with_other_spins(healthy: list[LabelledFrame]) -> None:
    energy = healthy[0].energy or 0.0
    up = with_spins(healthy[0], [1] * 8, energy)
    down = with_spins(healthy[0], [1, -1] * 4, energy + 0.2)
    findings = audit([up, *healthy[1:], down])
    assert [f.code for f in findings] == ["duplicates-differ-in-spin"]
    assert (findings[0].level, findings[0].frames) == ("warning", (0, 24))
    assert audit([up, *healthy[1:], down], spins=True) == []
    again = audit([up, *healthy[1:], with_spins(healthy[0], [1] * 8, energy + 0.2)])
    assert found(again, "duplicates-disagree").frames == (0, 24)


@pytest.mark.parametrize("name", ["valid", "test"])
def test_leakage(healthy: list[LabelledFrame], rotation: np.ndarray, name: str) -> None:
    turned = healthy[9].atoms[::-1]
    turned.set_cell(turned.cell.array @ rotation, scale_atoms=True)
    turned.positions += 0.7
    other = [healthy[20], healthy[1], replace(healthy[9], atoms=turned).with_labels({STRESS: None}), healthy[21]]
    findings = audit(healthy[:20], **{name: other})
    exact, near = found(findings, f"{name}-in-train"), found(findings, f"{name}-near-train")
    assert (exact.level, exact.frames, exact.dataset) == ("error", (1,), name)
    assert (near.level, near.frames, near.dataset) == ("warning", (2,), name)


@pytest.mark.parametrize("periodic", [True, False], ids=["crystal", "molecule"])
def test_a_test_frame_with_the_atoms_of_a_training_frame_in_another_order(
    healthy: list[LabelledFrame], make: Callable[..., LabelledFrame], periodic: bool
) -> None:
    atoms = healthy[3].atoms.copy()
    if not periodic:
        atoms.pbc, atoms.cell = False, np.zeros((3, 3))
    train, other = [*healthy[:3], make(atoms)], atoms[np.random.default_rng(1).permutation(len(atoms))]
    other.positions += (np.arange(8)[:, None] % 3 - 1) @ atoms.cell.array[:1]  # some atoms as their images
    findings = audit(train, test=[make(other), healthy[5]])
    assert found(findings, "test-in-train").frames == (0,)
    assert not [f for f in findings if f.code == "test-near-train"]


def test_thousands_of_equal_frames_are_quick(healthy: list[LabelledFrame]) -> None:
    finding = found(audit([healthy[0]] * 1500), "duplicate-frames")
    assert len(finding.frames) == 1499
