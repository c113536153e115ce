"""Every kind of model of NequIP obeys the laws of backbones."""

import pytest
import torch

pytest.importorskip("nequip", reason="the extra nequip is not installed")

from equisparse.methods.mmea import MMEA
from equisparse.methods.scale import Scale
from equisparse.methods.soft_threshold import SoftThreshold
from equisparse.testing import attached, backbone_layout, periodicity
from equisparse.testing import backbones as laws
from equisparse.testing import magnetism as spin_laws


class TestEveryModel:
    """What differs between models and between the classes that trained them: layout, loading, native files."""

    @pytest.fixture
    def backbone(self, name, checkpoint, load):
        return load(str(checkpoint(name)), dtype="float64")

    def test_layout(self, backbone):
        backbone_layout.check_layout(backbone)
        assert backbone_layout.check_element_order(backbone, 8, 12) >= 2
        assert backbone_layout.check_planted_changes(backbone) > len(backbone.layout().blocks)
        assert {block.role for block in backbone.layout()} == {
            "embedding",
            "linear",
            "self_connection",
            "radial",
            "readout",
        }
        left = dict(backbone.model.named_parameters()).keys() - set(backbone.layout().tensors)
        assert all(name.endswith(("bessel_weights", ".shifts")) for name in left), left

    def test_blocks_are_the_paths_of_e3nn(self, backbone):
        layout = backbone.layout()
        for name, module in backbone.model.named_modules():
            if name.endswith((".linear_1", ".linear_2", ".conv.sc")):
                blocks = [block.view(module.weight) for block in layout.of(f"{name}.weight")]
                views = list(module.weight_views())
            elif name.endswith(".conv"):
                last = list(module.edge_mlp.named_parameters())[-1][0]
                blocks = [block.indices()[0] for block in layout.of(f"{name}.edge_mlp.{last}")]
                columns = torch.arange(module.tp_scatter.tp.weight_numel).unsqueeze(0)
                views = [view.reshape(-1) for view in module.tp_scatter.tp.weight_views(columns)]
            else:
                continue
            assert all(torch.equal(block, view) for block, view in zip(blocks, views, strict=True)), name

    def test_every_periodicity(self, backbone, tmp_path):
        periodicity.check_structures(backbone)
        assert periodicity.check_native_file(backbone, tmp_path / "native.ckpt").stress_factor == 1

    def test_upstream_calculator(self, backbone, name, checkpoint, oxides):
        laws.check_calculator(backbone, backbone.upstream_calculator(checkpoint(name)), oxides)

    def test_symmetry_of_changes(self, backbone, oxides):
        laws.check_symmetry_of_changes(backbone, oxides[1])

    def test_gates(self, backbone, oxides):
        attached.check_gates(backbone, MMEA(), oxides[1])

    @pytest.mark.parametrize("spin_orbit", [False, True], ids=["isotropic", "spin-orbit"])
    def test_spins(self, backbone, oxides, spin_orbit):
        spin_laws.check_laws(backbone, oxides, "Mg", layers=3, spin_orbit=spin_orbit)

    def test_native_file(self, backbone, oxides, shifts, tmp_path):
        shared = len(set(backbone.reference_slots.values())) == 1
        path = tmp_path / "native.ckpt"
        laws.check_native(backbone, path, oxides, dict.fromkeys(shifts, 0.5) if shared else shifts)
        laws.check_reload(backbone, path, oxides)

    @pytest.mark.parametrize("method", [SoftThreshold(), Scale()], ids=repr)
    def test_merged_equals_attached_bitwise(self, backbone, oxides, tmp_path, method):
        attached.check_merged_is_attached(backbone, method, tmp_path / "merged.ckpt", oxides)
