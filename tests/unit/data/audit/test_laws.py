"""Every law, for every check of the audit, on frames without and with problems."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from equisparse.data.audit.context import FrameSet
from equisparse.data.audit.registry import SET_CHECKS
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.quantities import ENERGY, FORCES, STRESS, Quantity
from equisparse.testing.audit import AUDIT_LAWS, AuditCheck, AuditLaw


@pytest.fixture(scope="module")
def sets(
    healthy: list[LabelledFrame], base: dict[Quantity, Floats], make: Callable[..., LabelledFrame]
) -> dict[str, FrameSet]:
    """Frames without problems, the same with wrong labels, and a mixture of strange structures and labels."""
    turned = [frame.with_labels({FORCES: -frame.forces, STRESS: -frame.stress * 1602}) for frame in healthy]
    some = {quantity: values[: 12 * (8 if quantity.per == "atom" else 1)] for quantity, values in base.items()}
    close, charged = healthy[0].atoms.copy(), healthy[1].atoms.copy()
    close.positions[0] = close.positions[1] + 0.2
    charged.info["charge"] = 1
    alone, evaporated = molecule("CH4"), molecule("H2O", vacuum=9.0, pbc=(True, True, False))
    evaporated.positions[2] += [8.0, 0.0, 0.0]
    strange = [
        replace(healthy[0], atoms=close),
        replace(healthy[1], atoms=charged),
        healthy[2],
        healthy[2],
        healthy[3].with_labels({ENERGY: None}),
        healthy[4].with_labels({FORCES: np.zeros((8, 3)), STRESS: np.full((3, 3), 7.0)}),
        healthy[5].with_labels({FORCES: np.full((8, 3), np.nan)}),
        healthy[6].with_labels({ENERGY: healthy[6].energy + 500.0}),
        replace(healthy[7], fixed=np.arange(8) < 2),
        make(alone),
        make(evaporated),
        make(Atoms("Cu")),
        LabelledFrame(Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.5]], pbc=True), {ENERGY: np.array(-1.0)}),
    ]
    spins = [frame.atoms.copy() for frame in healthy[:6]]
    for seed, atoms in enumerate(spins):
        atoms.set_initial_magnetic_moments(np.random.default_rng(seed).choice([-2.0, 2.0], len(atoms)))
    magnetic = [replace(frame, atoms=atoms) for frame, atoms in zip(healthy, spins, strict=False)]
    return {
        "healthy": FrameSet("train", healthy[:12], {29, 47}, some),
        "wrong labels": FrameSet("valid", turned[:12], {29, 47}, some),
        "strange": FrameSet("train", strange, {1, 8, 29}),
        "spins": FrameSet("test", [*magnetic, magnetic[0]], {29, 47}, spins=True),
    }


@pytest.mark.parametrize("law", AUDIT_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("check", SET_CHECKS, ids=lambda check: check.__name__)
def test_law(check: AuditCheck, law: AuditLaw, sets: dict[str, FrameSet]) -> None:
    for data in sets.values():
        law(check, data)


def test_the_sets_have_many_findings(sets: dict[str, FrameSet]) -> None:
    found = {finding.code for data in sets.values() for check in SET_CHECKS for finding in check(data)}
    assert len(found) > 15, sorted(found)
