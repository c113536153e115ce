"""Fit of the reference energies of a set of frames, and what is reported about it."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from equisparse.data.audit.context import FrameSet
from equisparse.data.audit.finding import Finding
from equisparse.data.audit.references import CHARGED, ISOLATED, fit_references, reference_findings
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.references import ReferenceFit
from equisparse.quantities import ENERGY, FORCES, Quantity

Base = dict[Quantity, Floats]
SLOTS = {z: z for z in range(1, 100)}
CUTOFF = 5.0


def sets_of(base: Base, **frames: list[LabelledFrame]) -> dict[str, FrameSet]:
    """Sets of frames with predictions of a base."""
    return {name: FrameSet(name, part, None).with_base(base) for name, part in frames.items()}


def codes(sets: dict[str, FrameSet], fit: ReferenceFit) -> dict[str, Finding]:
    """Findings by code."""
    return {finding.code: finding for finding in reference_findings(sets, fit)}


def with_more(
    frames: list[LabelledFrame], base: Base, more: list[LabelledFrame], energies: list[float]
) -> tuple[list[LabelledFrame], Base]:
    """Frames and predictions with further frames, for which the base predicts some energies and no forces."""
    forces = np.zeros((sum(frame.n_atoms for frame in more), 3))
    joined = {ENERGY: np.concatenate([base[ENERGY], energies]), FORCES: np.concatenate([base[FORCES], forces])}
    return [*frames, *more], joined


def test_isolated_atoms_do_not_spoil_the_fit(healthy: list[LabelledFrame], base: Base) -> None:
    clean = fit_references(sets_of(base, train=healthy)["train"], SLOTS, CUTOFF)
    far = Atoms("CuAg", [[0, 0, 0], [0, 0, 5.5]])  # within 6 Angstrom, but not within the cutoff
    alone = [LabelledFrame(atoms).with_labels({ENERGY: 40.0}) for atoms in (Atoms("Cu"), Atoms("Ag"), far)]
    frames, more = with_more(healthy, base, alone, [0.0, 5.0, 3.0])
    sets = sets_of(more, train=frames)
    fit = fit_references(sets["train"], SLOTS, CUTOFF)
    assert fit.left_out == {ISOLATED: (24, 25, 26)}
    assert fit.shifts == pytest.approx(clean.shifts)
    finding = codes(sets, fit)["left-out-of-references"]
    assert (finding.level, finding.frames) == ("note", (24, 25, 26))


@pytest.mark.parametrize("name", ["charge", "total_charge"])
def test_frames_of_an_unusual_charge_do_not_spoil_the_fit(healthy: list[LabelledFrame], base: Base, name: str) -> None:
    charged = []
    for index, frame in enumerate(healthy):
        atoms = frame.atoms.copy()
        atoms.info[name] = 1 if index >= 18 else 0
        charged.append(replace(frame, atoms=atoms).with_labels({ENERGY: (frame.energy or 0) + 0.1 * (index >= 18)}))
    fit = fit_references(sets_of(base, train=charged)["train"], SLOTS, CUTOFF)
    assert fit.left_out[CHARGED] == tuple(range(18, 24))


def test_a_key_read_wrongly_is_a_warning(healthy: list[LabelledFrame], base: Base) -> None:
    frames = [
        frame.with_labels({ENERGY: (frame.energy or 0.0) + 7.0 * frame.n_atoms * (index < 4)})
        for index, frame in enumerate(healthy)
    ]
    sets = sets_of(base, train=frames)
    fit = fit_references(sets["train"], SLOTS, CUTOFF)
    finding = codes(sets, fit)["left-out-of-references"]
    assert (finding.level, finding.frames) == ("warning", (0, 1, 2, 3))
    assert "far from the fit" in finding.message


def test_without_energies_the_references_stay_those_of_the_base(healthy: list[LabelledFrame], base: Base) -> None:
    sets = sets_of(base, train=[frame.with_labels({ENERGY: None}) for frame in healthy])
    fit = fit_references(sets["train"], SLOTS, CUTOFF)
    assert (fit.shifts, fit.unresolved, fit.left_out) == ({29: 0.0, 47: 0.0}, (), {})
    assert list(codes(sets, fit)) == ["references-of-base"]


def test_elements_without_energies_are_named_in_every_set(healthy: list[LabelledFrame], base: Base) -> None:
    gold = []
    for frame in healthy:
        atoms = frame.atoms.copy()
        atoms.symbols[0] = "Au"
        gold.append(replace(frame, atoms=atoms))
    sets = sets_of(base, train=healthy, valid=gold)
    found = codes(sets, fit_references(sets["train"], SLOTS, CUTOFF))["unfitted-references"]
    assert (found.level, found.dataset, len(found.frames)) == ("warning", "valid", 24)
    assert "Au" in found.message


def test_a_fit_that_spoils_the_validation_error_is_reported(healthy: list[LabelledFrame], base: Base) -> None:
    sets = sets_of(base, train=healthy, valid=healthy)
    fit = fit_references(sets["train"], SLOTS, CUTOFF)
    assert "references-worse" not in codes(sets, fit)
    worse = replace(fit, shifts={z: shift - 9.0 for z, shift in fit.shifts.items()})
    finding = codes(sets, worse)["references-worse"]
    assert (finding.level, finding.dataset) == ("warning", "valid")


def test_shared_references_get_one_shift(healthy: list[LabelledFrame], base: Base) -> None:
    fit = fit_references(sets_of(base, train=healthy)["train"], dict.fromkeys(SLOTS, 0), CUTOFF)
    assert fit.shifts[29] == fit.shifts[47]


def test_neighbours_are_computed_once(healthy: list[LabelledFrame], base: Base) -> None:
    first = FrameSet("train", healthy, None)
    known = first.surroundings
    turned = replace(healthy[3], atoms=healthy[3].atoms.copy())
    second = first.with_base(base, [*healthy[:3], turned, *(f.with_labels({}) for f in healthy[4:])])
    same = [one is other for one, other in zip(known, second.surroundings, strict=True)]
    assert same == [index != 3 for index in range(24)]
    assert "surroundings" not in vars(FrameSet("train", healthy, None).with_base(base))
