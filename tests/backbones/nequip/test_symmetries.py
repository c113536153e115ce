"""A model of NequIP obeys the laws of symmetry and of derivatives."""

import pytest

pytest.importorskip("nequip", reason="the extra nequip is not installed")

from equisparse.testing import backbones as laws


class TestSymmetriesAndDerivatives:
    """The laws that one model stands for."""

    @pytest.fixture
    def backbone(self, checkpoint, load):
        return load(str(checkpoint("plain")), dtype="float64")

    def test_batching(self, backbone, oxides):
        laws.check_batching(backbone, oxides)

    def test_permutation(self, backbone, oxides):
        laws.check_permutation(backbone, oxides[1])

    @pytest.mark.parametrize("number", [0, 2], ids=["crystal", "molecule"])
    def test_space(self, backbone, oxides, number):
        laws.check_translation(backbone, oxides[number])
        laws.check_rotation(backbone, oxides[number])
        laws.check_forces(backbone, oxides[number])

    def test_cell(self, backbone, oxides):
        laws.check_supercell(backbone, oxides[0])
        laws.check_stress(backbone, oxides[0])

    def test_slab_periodic_in_two_directions(self, backbone, oxides):
        slab = oxides[0].copy()
        slab.pbc = (True, True, False)
        laws.check_forces(backbone, slab, directions=1)

    def test_range(self, backbone):
        laws.check_isolated_atoms(backbone, 8)
        laws.check_cutoff(backbone, "MgO", backbone.cutoff)
