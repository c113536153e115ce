"""Periodic directions without a lattice vector."""

import pytest
from ase import Atoms

from equisparse.data.lattice import check_lattice, lacks_lattice
from equisparse.errors import DataError


@pytest.mark.parametrize(
    ("cell", "pbc", "expected"),
    [
        ((4, 4, 4), (True, True, True), False),
        ((4, 4, 0), (True, True, False), False),
        ((0, 0, 3), (False, False, True), False),
        ((0, 0, 0), (False, False, False), False),
        ((4, 4, 0), (True, True, True), True),
        ((4, 0, 9), (True, True, False), True),
        (((4, 0, 0), (8, 0, 0), (0, 0, 9)), (True, True, False), True),
    ],
    ids=["crystal", "slab", "wire", "molecule", "no third vector", "no second vector", "parallel"],
)
def test_periodic_directions_need_independent_vectors(cell, pbc, expected):
    assert lacks_lattice(Atoms("H", cell=cell, pbc=pbc)) is expected


def test_the_error_names_the_structure_and_the_directions():
    with pytest.raises(
        DataError, match=r"no vector in a periodic direction(.|\n)*slab\.xyz, frame 3: pbc T T F(.|\n)*4, 0, 9"
    ):
        check_lattice(Atoms("H", cell=(4, 0, 9), pbc=(True, True, False)), "slab.xyz, frame 3")
    check_lattice(Atoms("H"), "molecule")
