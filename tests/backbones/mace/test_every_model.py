"""Every kind of model that MACE builds obeys the laws of backbones."""

import pytest
import torch

from equisparse.backbones import upstream
from equisparse.methods.mmea import MMEA
from equisparse.methods.scale import Scale
from equisparse.methods.soft_threshold import SoftThreshold
from equisparse.testing import attached, backbone_layout, periodicity
from equisparse.testing import backbones as laws
from equisparse.testing import magnetism as spin_laws

pytestmark = pytest.mark.filterwarnings("ignore:The TorchScript type system:UserWarning")
with upstream.quiet_import():
    pytest.importorskip("mace.modules", reason="the extra mace is not installed", exc_type=ImportError)
    from e3nn import o3
    from mace import modules

SHIFTS = {8: 0.25, 12: -1.5, 13: 3.0}


class TestEveryModel:
    """Layout, laws and files of every kind of model that MACE builds."""

    @pytest.fixture
    def backbone(self, name, model_file, head_of, load):
        return load(str(model_file(name)), dtype="float64", modality=head_of(name))

    def test_layout(self, backbone):
        backbone_layout.check_layout(backbone)
        assert backbone_layout.check_element_order(backbone, 8, 12) >= 2
        assert backbone_layout.check_planted_changes(backbone) > len(backbone.layout().blocks)
        roles = {block.role for block in backbone.layout()}
        assert roles == {"embedding", "linear", "self_connection", "radial", "contraction", "readout"}
        left = dict(backbone.model.named_parameters()).keys() - set(backbone.layout().tensors)
        assert all(
            name.endswith(("bias", "alpha", "beta")) or ".net." in name or "radial_embedding" in name for name in left
        ), left

    def test_element_tables_are_whole(self, backbone, numbers):
        contractions = [block for block in backbone.layout() if block.role == "contraction"]
        assert {block.shape[1] for block in contractions} == {len(numbers)}
        for block in contractions:
            weight = backbone.model.get_parameter(block.tensor)
            assert torch.equal(block.view(weight), weight.detach().transpose(0, 1))

    def test_blocks_are_the_paths_of_e3nn(self, backbone):
        layout, checked = backbone.layout(), 0
        for name, module in backbone.model.named_modules():
            if isinstance(module, o3.Linear | o3.FullyConnectedTensorProduct):
                blocks = [block.view(module.weight) for block in layout.of(f"{name}.weight")]
                views = [view.detach() for view in module.weight_views()]
            elif isinstance(module, modules.blocks.InteractionBlock):
                prefix = f"{name}.conv_tp_weights."
                last = [tensor for tensor in layout.tensors if tensor.startswith(prefix)][-1]
                blocks = [block.indices()[0] for block in layout.of(last)]
                weight = backbone.model.get_parameter(last)
                numbers = torch.arange(weight.numel()).reshape(weight.shape)
                outputs = numbers[:, 0] if ".net." in last else numbers[0]
                views = [view.reshape(-1) for view in module.conv_tp.weight_views(outputs.unsqueeze(0))]
            else:
                continue
            checked += 1
            assert all(torch.equal(block, view) for block, view in zip(blocks, views, strict=True)), name
        assert checked > 8

    def test_every_periodicity(self, backbone, tmp_path):
        periodicity.check_structures(backbone)
        check = periodicity.check_native_file(backbone, tmp_path / "native.model")
        assert check.stress_factor > 3, "upstream divides the stress of slabs by the volume of the cell, now"
        assert "stresses of slabs and wires" in str(check)

    def test_upstream_calculator(self, backbone, name, model_file, oxides):
        laws.check_calculator(backbone, backbone.upstream_calculator(model_file(name)), oxides)

    def test_symmetries(self, backbone, oxides):
        laws.check_batching(backbone, oxides)
        laws.check_symmetry_of_changes(backbone, oxides[1])
        laws.check_permutation(backbone, oxides[1])

    def test_gates(self, backbone, oxides):
        attached.check_gates(backbone, MMEA(), oxides[1])

    @pytest.mark.parametrize("spin_orbit", [False, True], ids=["isotropic", "spin-orbit"])
    def test_spins(self, backbone, oxides, spin_orbit):
        for _ in range(3):  # TorchScript changes its code in the first calls, and with it the last bits
            laws.predict(backbone, oxides)
        spin_laws.check_laws(backbone, oxides, "Mg", layers=2, spin_orbit=spin_orbit)

    def test_derivatives(self, backbone, oxides):
        laws.check_forces(backbone, oxides[0])
        laws.check_forces(backbone, oxides[2])
        laws.check_stress(backbone, oxides[0])

    def test_range(self, backbone):
        laws.check_isolated_atoms(backbone, 8)
        laws.check_cutoff(backbone, "AlO", backbone.cutoff)

    def test_native_file(self, backbone, oxides, tmp_path):
        path = tmp_path / "native.model"
        laws.check_native(backbone, path, oxides, SHIFTS)
        laws.check_reload(backbone, path, oxides)

    def test_native_files_have_the_class_and_keys_of_the_base(self, backbone, name, model_file, tmp_path):
        backbone.save_native(tmp_path / "n.model", {})
        base, again = (torch.load(path, weights_only=False) for path in (model_file(name), tmp_path / "n.model"))
        assert type(again) is type(base)
        assert list(again.state_dict()) == list(base.state_dict())
        assert all(torch.equal(value, again.state_dict()[key]) for key, value in base.state_dict().items())

    @pytest.mark.parametrize("method", [SoftThreshold(), Scale()], ids=repr)
    def test_merged_equals_attached_bitwise(self, backbone, oxides, tmp_path, method):
        attached.check_merged_is_attached(backbone, method, tmp_path / "merged.model", oxides)
