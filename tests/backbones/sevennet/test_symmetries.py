"""The expensive laws, on one model in float64. Its irreps have no parity, so that it does not promise inversion."""

import pytest
import torch

pytest.importorskip("sevenn", reason="the extra sevennet is not installed")

from equisparse.methods.mmea import MMEA
from equisparse.quantities import ENERGY, FORCES
from equisparse.testing import attached, periodicity
from equisparse.testing import backbones as laws


class TestSymmetriesAndDerivatives:
    """The expensive laws, on one model in float64. Its irreps have no parity, so that it does not promise inversion."""

    @pytest.fixture
    def backbone(self, load):
        return load("7net-0", dtype="float64")

    def test_batching(self, backbone, oxides):
        laws.check_batching(backbone, oxides)

    def test_permutation(self, backbone, oxides):
        laws.check_permutation(backbone, oxides[1])

    @pytest.mark.parametrize("number", [0, 2], ids=["crystal", "molecule"])
    def test_translation(self, backbone, oxides, number):
        laws.check_translation(backbone, oxides[number])

    @pytest.mark.parametrize("number", [0, 2], ids=["crystal", "molecule"])
    def test_rotation(self, backbone, oxides, number):
        laws.check_rotation(backbone, oxides[number], improper=False)

    def test_supercell(self, backbone, oxides):
        laws.check_supercell(backbone, oxides[0])

    @pytest.mark.parametrize("number", [0, 2], ids=["crystal", "molecule"])
    def test_forces_are_derivatives(self, backbone, oxides, number):
        laws.check_forces(backbone, oxides[number])

    def test_stress_is_a_derivative(self, backbone, oxides):
        laws.check_stress(backbone, oxides[0])

    def test_every_periodicity(self, backbone, tmp_path):
        periodicity.check_structures(backbone)
        assert periodicity.check_native_file(backbone, tmp_path / "native.pth").stress_factor == 1

    def test_isolated_atoms(self, backbone):
        laws.check_isolated_atoms(backbone, 8)

    def test_cutoff(self, backbone):
        laws.check_cutoff(backbone, "MgO", backbone.cutoff)

    def test_symmetry_of_changes(self, backbone, oxides):
        laws.check_symmetry_of_changes(backbone, oxides[0], improper=False)

    @pytest.mark.parametrize("method", [MMEA(), MMEA(rank=4)], ids=repr)
    def test_gates(self, backbone, oxides, method):
        attached.check_gates(backbone, method, oxides[0], improper=False)

    def test_slab_periodic_in_two_directions(self, backbone, oxides):
        slab = oxides[0].copy()
        slab.pbc = (True, True, False)
        laws.check_forces(backbone, slab, directions=1)

    def test_precisions_agree(self, backbone, load, oxides):
        single, double = laws.predict(load("7net-0"), oxides), laws.predict(backbone, oxides)
        assert double[ENERGY].dtype == torch.float64
        laws.ENERGY_TOLERANCE[torch.float32].check("energy", single[ENERGY], double[ENERGY])
        laws.FORCE_TOLERANCE[torch.float32].check("forces", single[FORCES], double[FORCES])

    def test_both_precisions_have_one_fingerprint(self, backbone, load):
        assert backbone.identity == load("7net-0").identity
