"""Faults planted in spins and moments are found, and healthy magnetic data raise nothing."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from equisparse.data.audit.finding import Finding
from equisparse.data.audit.registry import audit
from equisparse.data.frames import LabelledFrame
from equisparse.quantities import ENERGY, FORCES, MOMENTS


def frame(seed: int, signs: tuple[float, ...], energy: float, *, vectors: bool = False) -> LabelledFrame:
    """Rattled MnO, two cells, whose four metal atoms have spins of these signs."""
    atoms: Atoms = bulk("MnO", "rocksalt", a=4.4).repeat((2, 2, 1))
    random = np.random.default_rng(seed)
    atoms.positions += random.normal(0, 0.05, (8, 3))
    spins = np.zeros(8)
    spins[::2] = 4.5 * np.array(signs)
    moments = np.stack([0 * spins, 0 * spins, spins], axis=1)
    atoms.set_initial_magnetic_moments(moments if vectors else spins)
    forces = random.normal(0, 0.1, (8, 3))
    labels = {ENERGY: np.array(energy), FORCES: forces - forces.mean(0), MOMENTS: moments}
    return LabelledFrame(atoms, labels, "made.xyz", seed)


FERRO, ANTI = (1.0, 1.0, 1.0, 1.0), (1.0, -1.0, 1.0, -1.0)


@pytest.fixture
def healthy() -> list[LabelledFrame]:
    """Both orders of twelve geometries."""
    pairs = [(frame(seed, FERRO, -80.0 + 0.01 * seed), frame(seed, ANTI, -80.2 + 0.01 * seed)) for seed in range(12)]
    return [one for pair in pairs for one in pair]


def found(frames: list[LabelledFrame]) -> dict[str, Finding]:
    """Findings of an audit by their codes."""
    return {finding.code: finding for finding in audit(frames)}


MAGNETIC = {
    "moments-without-order",
    "orders-look-alike",
    "all-spins-parallel",
    "spins-on-non-magnetic-atoms",
    "mixed-spin-conventions",
    "frames-without-spins",
    "order-changed",
}


def test_healthy_frames_raise_nothing(healthy: list[LabelledFrame]) -> None:
    assert not MAGNETIC & set(found(healthy))


def test_moments_without_order(healthy: list[LabelledFrame]) -> None:
    for one in healthy:
        one.atoms.set_initial_magnetic_moments(None)
    assert found(healthy)["moments-without-order"].level == "error"


def test_magnitudes_of_an_antiferromagnet(healthy: list[LabelledFrame]) -> None:
    for one in healthy:
        one.atoms.set_initial_magnetic_moments(np.abs(one.atoms.get_initial_magnetic_moments()))
    finding = found(healthy)["orders-look-alike"]
    assert finding.level == "error"
    assert "25 meV/atom" in finding.message


def test_one_order_of_an_oxide_is_a_hint(healthy: list[LabelledFrame]) -> None:
    assert found(healthy[::2])["all-spins-parallel"].level == "note"
    assert "all-spins-parallel" not in found(healthy[1::2])


def test_spins_on_ligands(healthy: list[LabelledFrame]) -> None:
    healthy[3].atoms.set_initial_magnetic_moments(np.roll(healthy[3].atoms.get_initial_magnetic_moments(), 1))
    assert found(healthy)["spins-on-non-magnetic-atoms"].frames == (3,)


def test_numbers_and_vectors(healthy: list[LabelledFrame]) -> None:
    healthy[5] = frame(2, ANTI, -80.2, vectors=True)
    assert found(healthy)["mixed-spin-conventions"].frames == (5,)


def test_frames_without_spins(healthy: list[LabelledFrame]) -> None:
    healthy[0] = healthy[0].with_labels({MOMENTS: None})
    healthy[0].atoms.set_initial_magnetic_moments(None)
    assert found(healthy)["frames-without-spins"].frames == (0,)


def test_orders_that_changed(healthy: list[LabelledFrame]) -> None:
    healthy[1] = healthy[1].with_labels({MOMENTS: healthy[0].moments})
    healthy[2] = healthy[2].with_labels({MOMENTS: -healthy[2].moments})  # all turned round: the same order
    assert found(healthy)["order-changed"].frames == (1,)
