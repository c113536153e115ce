"""Descriptors: what leaves them unchanged, what must change them, and neighbours against a slow twin."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.geometry import get_distances
from hypothesis import given, settings
from hypothesis import strategies as st

from equisparse.data.fingerprint import (
    CUTOFF,
    composition_key,
    same_reordered,
    same_structure,
    shortest,
    surroundings,
)
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.near import joined_groups, near_between, near_pairs


def bare(atoms: Atoms) -> LabelledFrame:
    """Frame without labels."""
    return LabelledFrame(atoms)


def distance(first: LabelledFrame, second: LabelledFrame) -> float:
    """Difference of two descriptors, Angstrom."""
    return float(np.abs(surroundings(first).whole - surroundings(second).whole).max())


def random_crystal(seed: int) -> Atoms:
    """Skewed cell with a few atoms of two elements, in some directions not periodic."""
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(2.5, 7, 3)) + rng.uniform(-1, 1, (3, 3))
    n = int(rng.integers(1, 9))
    numbers = rng.choice([8, 12], n)
    pbc = rng.random(3) < 0.7
    return Atoms(numbers, scaled_positions=rng.uniform(-1, 2, (n, 3)), cell=cell, pbc=pbc)


def slow_nearest(atoms: Atoms) -> Floats:
    """Smallest distance to an atom or image by listing seven cells each way."""
    shifts = np.array(np.meshgrid(*[range(-7, 8) if p else [0] for p in atoms.pbc])).reshape(3, -1).T @ atoms.cell.array
    pairs = atoms.positions[None, :, None] + shifts[None, None] - atoms.positions[:, None, None]
    lengths = np.linalg.norm(pairs, axis=-1).reshape(len(atoms), -1)
    lengths[lengths < 1e-9] = np.inf
    nearest = lengths.min(axis=1)
    return np.where(nearest <= CUTOFF, nearest, np.inf)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_nearest_neighbours_agree_with_the_slow_twin(seed: int) -> None:
    atoms = random_crystal(seed)
    np.testing.assert_allclose(surroundings(bare(atoms)).nearest, slow_nearest(atoms), atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_rotation_shift_wrapping_and_renumbering_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    atoms = random_crystal(seed)
    turned = atoms[rng.permutation(len(atoms))]
    turned.rotate(float(rng.uniform(0, 180)), rng.normal(size=3), rotate_cell=True)
    turned.positions += rng.normal(size=3) * 5
    turned.wrap()
    assert distance(bare(atoms), bare(turned)) < 1e-4


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-4, 0.05))
def test_distances_move_by_at_most_twice_the_displacement(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    atoms = random_crystal(seed)
    moved = atoms.copy()
    steps = rng.normal(size=(len(atoms), 3))
    moved.positions += size * steps / np.linalg.norm(steps, axis=1, keepdims=True)
    before, after = surroundings(bare(atoms)), surroundings(bare(moved))
    finite = np.isfinite(before.nearest) & np.isfinite(after.nearest)
    assert np.abs(before.nearest[finite] - after.nearest[finite]).max(initial=0.0) <= 2 * size + 1e-9


def test_stackings_and_orderings_are_told_apart() -> None:
    fcc = bulk("Cu", "fcc", 3.6, cubic=True) * (2, 2, 2)
    hcp = bulk("Cu", "hcp", 3.6 / 2**0.5, covera=(8 / 3) ** 0.5) * (4, 2, 2)
    assert len(hcp) == len(fcc)
    assert distance(bare(fcc), bare(hcp)) > 0.1
    layered, mixed = bulk("Cu", "fcc", 3.6, cubic=True), bulk("Cu", "fcc", 3.6, cubic=True)
    layered, mixed = layered * (2, 1, 1), mixed * (2, 1, 1)
    layered.symbols[[0, 1, 2, 3]] = "Au"
    mixed.symbols[[0, 1, 4, 5]] = "Au"
    assert distance(bare(layered), bare(mixed)) > 0.1


def test_spins_are_told_apart() -> None:
    atoms = bulk("Fe", cubic=True) * (2, 1, 1)
    frames = []
    for moments in ([2, 2, 2, 2], [2, -2, 2, -2], [2, 2, -2, -2]):
        magnetic = atoms.copy()
        magnetic.arrays["REF_spin"] = np.array([[0, 0, m] for m in moments], dtype=float)
        frames.append(bare(magnetic))
    assert min(distance(frames[i], frames[j]) for i, j in ((0, 1), (0, 2), (1, 2))) > 0.1
    np.testing.assert_array_equal(surroundings(frames[0]).descriptor, surroundings(frames[1]).descriptor)


def test_charge_does_not_separate_systems_because_models_do_not_see_it() -> None:
    neutral, ion = molecule("H2O"), molecule("H2O")
    ion.info["charge"] = 1
    assert composition_key(bare(neutral)) == composition_key(bare(ion))


def test_symmetric_surroundings() -> None:
    assert surroundings(bare(bulk("NaCl", "rocksalt", 5.6, cubic=True))).symmetric
    assert not surroundings(bare(fcc111("Cu", (1, 1, 5), vacuum=5.0))).symmetric


def test_same_structure_up_to_lattice_vectors(make: Callable[..., LabelledFrame], healthy: list[LabelledFrame]) -> None:
    moved = healthy[0].atoms.copy()
    moved.positions[2] += moved.cell[0] - 2 * moved.cell[1]
    assert same_structure(healthy[0], bare(moved))
    moved.positions[2, 0] += 0.01
    assert not same_structure(healthy[0], bare(moved))
    stretched = healthy[0].atoms.copy()
    stretched.set_cell(stretched.cell.array * 1.001)
    assert not same_structure(healthy[0], bare(stretched))
    assert not same_structure(healthy[0], healthy[1])


def test_same_structure_in_another_order(healthy: list[LabelledFrame]) -> None:
    frame = healthy[3]
    order = np.random.default_rng(0).permutation(frame.n_atoms)
    atoms = frame.atoms[order]
    assert same_reordered(frame, bare(atoms))
    atoms.positions[2] += 1e-3
    assert not same_reordered(frame, bare(atoms))
    exchanged = frame.atoms.copy()
    silver, copper = (np.flatnonzero(frame.numbers == z)[0] for z in (47, 29))
    exchanged.numbers[[silver, copper]] = 29, 47
    assert not same_reordered(frame, bare(exchanged))
    assert not same_reordered(frame, bare(frame.atoms[:-1]))


def test_shortest_vectors_agree_with_ase() -> None:
    atoms = Atoms("H2", cell=np.diag([4.0, 5.0, 6.0]), pbc=[True, False, True])
    vectors = np.random.default_rng(0).uniform(-9, 9, (20, 3))
    expected = [get_distances([v], [[0, 0, 0]], cell=atoms.cell, pbc=atoms.pbc)[1][0, 0] for v in vectors]
    np.testing.assert_allclose(np.linalg.norm(shortest(vectors, bare(atoms)), axis=1), expected)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=25))
def test_near_pairs_connect_what_a_slow_twin_connects(places: list[int]) -> None:
    values = [np.array([place * 0.009, 1.0], dtype=np.float32) for place in places]
    pairs = list(near_pairs([b"x"] * len(places), values, tolerance=0.01))
    for leader, near in pairs:
        assert all(abs(places[leader] - places[other]) <= 1 for other in near.tolist())
    found = {tuple(group) for group in joined_groups(len(places), pairs)}
    slow, start = [], 0
    order = np.argsort(places, kind="stable")
    for k in range(1, len(order) + 1):
        if k == len(order) or places[order[k]] - places[order[k - 1]] > 1:
            slow.append(tuple(sorted(order[start:k].tolist())))
            start = k
    assert found == set(slow)


def test_only_equal_compositions_are_near() -> None:
    values = [np.zeros(3, dtype=np.float32)] * 3
    assert [(i, n.tolist()) for i, n in near_pairs([b"a", b"b", b"a"], values)] == [(0, [2])]
    found = near_between([b"a", b"b"], values[:2], [b"c", b"b"], values[:2])
    assert {j: n.tolist() for j, n in found} == {1: [1]}


@pytest.mark.parametrize("n", [1, 2, 3])
def test_small_molecules_without_a_cell(n: int) -> None:
    atoms = Atoms(["O", "H", "H"][:n], positions=[[0, 0, 0], [0, 0, 1], [0, 8, 0]][:n])
    nearest = surroundings(bare(atoms)).nearest
    assert nearest.tolist() == [np.inf if n == 1 else 1.0, 1.0, np.inf][:n]
    assert not same_structure(bare(atoms), replace(bare(atoms), atoms=Atoms(["H"] * n, positions=atoms.positions)))
