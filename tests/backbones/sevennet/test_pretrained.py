"""The published models of SevenNet obey the laws of backbones."""

import math
from pathlib import Path

import pytest
import torch

pytest.importorskip("sevenn", reason="the extra sevennet is not installed")

from equisparse.backbones.registry import load_backbone
from equisparse.data.frames import unlabelled
from equisparse.errors import BackboneError
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.predict import evaluate
from equisparse.quantities import ENERGY
from equisparse.testing import backbone_layout
from equisparse.testing import backbones as laws
from equisparse.training.anchor import layer_rows

PRETRAINED = [("7net-0", None), ("7net-0_22May2024", None), ("7net-l3i5", None), ("7net-mf-0", "R2SCAN")]
SHIFTS = {8: 0.25, 12: -1.5, 13: 3.0}


class TestPretrained:
    """Every published model that comes with the package; float32, as published."""

    @pytest.fixture(params=PRETRAINED, ids=lambda parameter: parameter[0])
    def backbone(self, request, load):
        name, modality = request.param
        return load(name, modality=modality)

    def test_layout(self, backbone):
        backbone_layout.check_layout(backbone)
        assert backbone_layout.check_element_order(backbone, 8, 12) >= 2

    def test_upstream_calculator(self, backbone, oxides):
        laws.check_calculator(backbone, backbone.upstream_calculator(Path(backbone.identity.source)), oxides)

    def test_native_file(self, backbone, oxides, tmp_path):
        laws.check_native(backbone, tmp_path / "native.pth", oxides[:1], SHIFTS)


def test_modalities_differ(load, oxides):
    energies = [laws.predict(load("7net-mf-0", modality=name), oxides[:1])[ENERGY] for name in ("PBE", "R2SCAN")]
    assert not torch.allclose(*energies)


def test_an_anchor_holds_every_layer_radial_networks_too(load, oxides):
    backbone = load("7net-0")
    frames = FrameDataset(backbone, unlabelled(oxides, "here"), {})
    rows = layer_rows(backbone.model, backbone.layout(), lambda: evaluate(backbone, frames))
    assert set(rows) == set(backbone.layout().tensors)


def test_shifts_of_one_modality_leave_the_other(load, oxides, tmp_path):
    pbe, r2scan = (load("7net-mf-0", modality=name) for name in ("PBE", "R2SCAN"))
    r2scan.save_native(tmp_path / "m.pth", {8: 1.0})
    before = laws.predict(pbe, oxides[:1])[ENERGY]
    after = laws.predict(load_backbone(str(tmp_path / "m.pth"), modality="PBE"), oxides[:1])[ENERGY]
    assert torch.equal(before, after)


def test_a_missing_or_needless_modality_is_refused():
    with pytest.raises(BackboneError, match=r"expected: .*PBE or R2SCAN|expected: .*R2SCAN or PBE"):
        load_backbone("7net-mf-0")
    with pytest.raises(BackboneError, match="has no modalities"):
        load_backbone("7net-0_22May2024", modality="PBE")


def test_deployment_notes_name_the_file_and_the_modality(load):
    notes = load("7net-mf-0", modality="PBE").deployment_notes(Path("mine.pth"))
    assert "mine.pth" in notes
    assert "modal='PBE'" in notes
    assert math.isclose(load("7net-0").cutoff, 5.0)
