"""The one rule for which frames have a stress."""

import pytest
from ase import Atoms

from equisparse.data.frames import has_stress


@pytest.mark.parametrize(
    ("cell", "pbc", "expected"),
    [
        ((4, 4, 4), (True, True, True), True),
        ((4, 4, 20), (True, True, False), True),
        ((4, 20, 20), (True, False, False), True),
        ((4, 4, 4), (False, False, False), False),
        ((4, 4, 0), (True, True, False), False),
        ((0, 0, 0), (True, True, True), False),
        (((4, 0, 0), (0, 4, 0), (4, 4, 0)), (True, True, False), False),
    ],
    ids=["crystal", "slab", "wire", "molecule in a box", "slab without a third vector", "no cell", "flat"],
)
def test_stress_needs_a_volume_and_a_periodic_direction(cell, pbc, expected):
    assert has_stress(Atoms("H", cell=cell, pbc=pbc)) is expected
