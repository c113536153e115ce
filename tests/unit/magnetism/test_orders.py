"""Symmetry of magnetic orders, on structures whose numbers of orders are known."""

import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal

from equisparse.magnetism.orders import distinct_orders
from equisparse.magnetism.symmetry import symmetry_permutations


@pytest.mark.parametrize(
    ("atoms", "count"),
    [
        (bulk("Fe", cubic=True), 2),  # each atom on either
        (bulk("NiO", "rocksalt", a=4.2, cubic=True), 24),  # the symmetric group of the four metal atoms
        (bulk("Fe").repeat((2, 1, 1)), 2),
        (Atoms("Fe2", [[0, 0, 0], [0, 0, 2]]), 1),
    ],
    ids=str,
)
def test_number_of_permutations(atoms: Atoms, count: int) -> None:
    found = symmetry_permutations(atoms)
    metals = np.flatnonzero(atoms.numbers > 8)
    assert len(np.unique(found[:, metals], axis=0)) == count
    assert all(sorted(row) == list(range(len(atoms))) for row in found.tolist())


def skewed(atoms: Atoms) -> Atoms:
    """The same crystal, described by a skew cell: two first lattice vectors added to the third."""
    copy: Atoms = atoms.copy()
    copy.set_cell(atoms.cell.array + np.array([[0, 0, 0], [0, 0, 0], [2, 0, 0]]) @ atoms.cell.array)
    return copy


def test_a_skew_cell_has_the_symmetry_of_the_same_crystal() -> None:
    supercell = bulk("NiO", "rocksalt", a=4.2).repeat((2, 2, 1))
    for atoms in (supercell, skewed(supercell)):
        assert len(symmetry_permutations(atoms)) == 16
        assert len(symmetry_permutations(atoms, rotations=False)) == 4


def test_coinciding_atoms_have_the_identity_alone() -> None:
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0]], cell=[3, 3, 3], pbc=True)
    assert symmetry_permutations(atoms).tolist() == [[0, 1]]


def test_permutations_keep_the_structure() -> None:
    atoms = crystal(["Ti", "O"], [(0, 0, 0), (0.3, 0.3, 0)], spacegroup=136, cellpar=[4.6, 4.6, 2.95, 90, 90, 90])
    distances = atoms.get_all_distances(mic=True)
    found = symmetry_permutations(atoms)
    assert len(found) > 4
    for permutation in found:
        assert np.array_equal(atoms.numbers[permutation], atoms.numbers)
        assert distances[np.ix_(permutation, permutation)] == pytest.approx(distances, abs=1e-6)
    atoms.positions[0] += [0.1, 0.03, 0.02]
    assert len(symmetry_permutations(atoms)) == 1


def test_orders_of_the_rocksalt_cube() -> None:
    cube = bulk("NiO", "rocksalt", a=4.2, cubic=True)
    metals = np.flatnonzero(cube.numbers == 28)
    signs, counts = distinct_orders(symmetry_permutations(cube)[:, metals], metals)
    assert sorted(np.abs(signs.sum(axis=1)).tolist()) == [0, 2, 4]  # all up, one down, two down
    assert dict(zip(np.abs(signs.sum(axis=1)).tolist(), counts.tolist(), strict=True)) == {4: 2, 2: 8, 0: 6}


def test_no_symmetry_keeps_all_orders_but_the_flip() -> None:
    signs, counts = distinct_orders(np.arange(5)[None], np.arange(5))
    assert len(signs) == 16
    assert (counts == 2).all()
    assert len({tuple(row) for row in signs.tolist()}) == 16
    flipped = {tuple(row) for row in (-signs).tolist()} | {tuple(row) for row in signs.tolist()}
    assert flipped == set(itertools.product((-1, 1), repeat=5))


def test_every_order_is_counted_once() -> None:
    atoms = bulk("Fe").repeat((2, 2, 2))
    moves = symmetry_permutations(atoms)
    signs, counts = distinct_orders(moves, np.arange(8))
    assert counts.sum() == 2**8
    assert len(signs) == 10
