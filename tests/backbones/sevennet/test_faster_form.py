"""Cheaper orders of the same sums: nothing that a user can see changes."""

import pytest
import torch
from ase import Atoms
from ase.build import bulk

pytest.importorskip("sevenn", reason="the extra sevennet is not installed")

from equisparse.backbones import acceleration
from equisparse.backbones.e3nn.edge_product import EdgeProduct
from equisparse.backbones.registry import load_backbone
from equisparse.backbones.sevennet import backbone as sevennet
from equisparse.methods.full import Full
from equisparse.methods.mmea import MMEA
from equisparse.quantities import ENERGY
from equisparse.testing import backbones as laws
from equisparse.testing import faster_form, periodicity

PRETRAINED = {"7net-0_22May2024": None, "7net-l3i5": None, "7net-mf-0": "R2SCAN"}
"""Published model -> modality; 7net-0 is accelerated in tests/integration/test_finetune.py."""


class TestFasterForm:
    """Cheaper orders of the same sums: nothing that a user can see changes."""

    @pytest.mark.parametrize("name", PRETRAINED)
    def test_of_pretrained_models(self, name, load, oxides, tmp_path):
        self.check(load, name, PRETRAINED[name], oxides, tmp_path)

    def test_of_own_models(self, own_model, load, oxides, tmp_path):
        self.check(load, str(own_model), None, oxides, tmp_path)

    @pytest.mark.parametrize("own_model", ["linear"], indirect=True)
    def test_copies_are_on_their_own(self, own_model, load, oxides):
        backbone = load(str(own_model), dtype="float64")
        laws.check_copies(backbone, oxides[:1])
        copied = backbone.copied()
        assert copied.accelerate(oxides[:1])
        laws.check_copies(copied, oxides[:1])
        assert any(isinstance(module, EdgeProduct) for module in copied.model.modules())
        assert not any(isinstance(module, EdgeProduct) for module in backbone.model.modules())

    def check(self, load, source, modality, oxides, folder):
        plain = load(source, dtype="float64", modality=modality)
        fast = load_backbone(source, dtype="float64", modality=modality)
        faster_form.check_faster_form(plain, fast, oxides, folder)
        assert any(isinstance(module, EdgeProduct) for module in fast.model.modules())
        periodicity.check_no_edges(fast, [Atoms("O"), Atoms("MgO", [[0, 0, 0], [9, 0, 0]])])
        periodicity.check_training(fast, [oxides[2], Atoms("O")])
        states = [
            torch.load(folder / name, weights_only=False)["model_state_dict"] for name in ("fast.pth", "plain.pth")
        ]
        assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())

    @pytest.mark.parametrize("own_model", ["linear"], indirect=True)
    def test_compiled_convolutions_give_the_same(self, own_model, load, oxides):
        plain, fast = load(str(own_model), dtype="float64"), load_backbone(str(own_model), dtype="float64")
        assert fast.accelerate(oxides[:1])
        convolutions = sum(isinstance(module, EdgeProduct) for module in fast.model.modules())
        faster_form.check_compiled(plain, fast, oxides, convolutions)
        periodicity.check_no_edges(fast, [Atoms("O"), Atoms("MgO", [[0, 0, 0], [9, 0, 0]])])

    @pytest.mark.parametrize("method", [Full(), MMEA()], ids=repr)
    def test_methods_train_on_it(self, own_model, load, oxides, method):
        plain, fast = load(str(own_model), dtype="float64"), load_backbone(str(own_model), dtype="float64")
        assert fast.accelerate(oxides[:1])
        faster_form.check_training(plain, fast, oxides, method)

    def test_forces_that_are_zero_by_symmetry(self, own_model):
        assert load_backbone(str(own_model)).accelerate([bulk("Al"), bulk("MgO", "rocksalt", a=4.2)])

    def test_a_form_that_differs_is_not_used(self, own_model, oxides, monkeypatch):
        def wrong(model):
            with torch.no_grad():
                next(model.parameters()).mul_(1 + 1e-6)

        backbone = load_backbone(str(own_model))
        before = laws.predict(backbone, oxides)[ENERGY]
        told = []
        monkeypatch.setattr(acceleration._log, "warning", told.append)
        monkeypatch.setattr(sevennet, "accelerate_model", wrong)
        assert not backbone.accelerate(oxides[:1])
        assert "does not agree" in told[0]
        monkeypatch.setattr(sevennet, "accelerate_model", None)
        assert not backbone.accelerate(oxides[:1])
        assert torch.equal(laws.predict(backbone, oxides)[ENERGY], before)
