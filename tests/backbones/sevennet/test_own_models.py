"""Checkpoint files of the user: other elements, product self-connections, parity, one reference energy."""

from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk

pytest.importorskip("sevenn", reason="the extra sevennet is not installed")

from equisparse.adapters.attach import attach
from equisparse.backbones.elements import check_elements
from equisparse.backbones.registry import backbone_class, guess, load_backbone
from equisparse.errors import BackboneError, MissingPackageError, StateError
from equisparse.magnetism.model import SpinModel, new_layer
from equisparse.methods.mmea import MMEA
from equisparse.methods.scale import Scale
from equisparse.methods.soft_threshold import SoftThreshold
from equisparse.testing import attached, backbone_layout, magnetism
from equisparse.testing import backbones as laws

SHIFTS = {8: 0.25, 12: -1.5, 13: 3.0}


class TestOwnModels:
    """Checkpoint files of the user: other elements, product self-connections, parity, one reference energy."""

    @pytest.fixture
    def backbone(self, own_model, load):
        return load(str(own_model), dtype="float64")

    @pytest.fixture
    def improper(self, own_model):
        return own_model.stem != "no-parity"

    def test_layout(self, backbone, own_model):
        backbone_layout.check_layout(backbone)
        assert backbone_layout.check_element_order(backbone, 8, 12) >= 2
        roles = {block.role for block in backbone.layout()}
        assert roles == {"embedding", "linear", "self_connection", "radial", "readout"}
        elements = [block.shape[1] for block in backbone.layout() if len(block.shape) == 3]
        assert set(elements) == ({3} if own_model.stem in ("nequip", "no-parity") else set())

    def test_batching(self, backbone, oxides):
        laws.check_batching(backbone, oxides)

    def test_symmetries(self, backbone, oxides, improper):
        laws.check_symmetry_of_changes(backbone, oxides[1], improper=improper)
        laws.check_permutation(backbone, oxides[1])

    @pytest.mark.parametrize("spin_orbit", [False, True])
    def test_spin_layers(self, backbone, oxides, improper, spin_orbit):
        layer = new_layer(backbone, cutoff=backbone.cutoff, channels=8, spin_orbit=spin_orbit)
        model, atoms = SpinModel(backbone, magnetism.trained_at_random(layer)), magnetism.random_spins(oxides[1], 0)
        magnetism.check_rotation(model, atoms, improper=improper)
        magnetism.check_time_reversal(model, atoms)
        magnetism.check_no_spins(model, [atoms])
        laws.check_stress(model, atoms)

    def test_gates(self, backbone, oxides, improper):
        attached.check_gates(backbone, MMEA(), oxides[1], improper=improper)

    def test_derivatives(self, backbone, oxides):
        laws.check_forces(backbone, oxides[0])
        laws.check_stress(backbone, oxides[0])

    def test_cutoff_and_isolated_atoms(self, backbone):
        laws.check_cutoff(backbone, "AlO", backbone.cutoff)
        laws.check_isolated_atoms(backbone, 13)

    def test_native_file(self, own_model, load, oxides, tmp_path):
        single, path = load(str(own_model)), tmp_path / "native.pth"
        shared = len(set(single.reference_slots.values())) == 1
        laws.check_native(single, path, oxides, dict.fromkeys(SHIFTS, 0.5) if shared else SHIFTS)
        laws.check_reload(single, path, oxides)


@pytest.mark.parametrize("method", [SoftThreshold(), Scale()], ids=repr)
def test_merged_equals_attached_bitwise(own_model, load, oxides, tmp_path, method):
    attached.check_merged_is_attached(load(str(own_model)), method, tmp_path / "merged.pth", oxides)


@pytest.mark.parametrize("method", [Scale(), MMEA()], ids=repr)
def test_saving_an_attached_model_is_refused(load, own_model, tmp_path, method):
    backbone = load(str(own_model))
    attachment = attach(backbone.model, method, backbone.layout())
    with pytest.raises(StateError, match="detach the method first"):
        backbone.save_native(tmp_path / "m.pth", {})
    attachment.detach()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("contents", [b"", b"no checkpoint"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, contents):
    path = Path(tmp_path, "broken.pth")
    path.write_bytes(contents)
    with pytest.raises(BackboneError, match="SevenNet cannot load this model"):
        load_backbone(str(path))


def test_names():
    assert guess("7net-0") == guess("SevenNet-l3i5") == guess("/somewhere/mine.pth") == "sevennet"
    with pytest.raises(BackboneError, match="cannot be inferred"):
        guess("mystery")
    with pytest.raises(BackboneError, match="no such backbone"):
        backbone_class("mystery")


def test_a_missing_package_names_its_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sevenn", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'equisparse\[sevennet\]'"):
        backbone_class("sevennet")


def test_an_unknown_element_is_named(load, own_model):
    with pytest.raises(BackboneError, match=r"given: Si, Cu"):
        check_elements(load(str(own_model)), [bulk("Cu"), Atoms("SiO")])
