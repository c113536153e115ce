"""The backbone obeys the laws of `equisparse.testing`."""

import pytest
import torch
from ase import Atoms

import equisparse_nequix.backbone
from equisparse.backbones.e3nn.edge_product import EdgeProduct
from equisparse.backbones.registry import load_backbone
from equisparse.methods.mmea import MMEA
from equisparse.methods.scale import Scale
from equisparse.methods.soft_threshold import SoftThreshold
from equisparse.testing import attached, backbone_layout, faster_form, magnetism, periodicity
from equisparse.testing import backbones as laws


@pytest.fixture(autouse=True)
def _without_nequix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare files as this package reads them: JAX compiles for seconds; test_nequix.py compares with nequix."""
    monkeypatch.setattr(equisparse_nequix.backbone, "nequix_calculator", lambda *_: None)


def test_layout(backbone):
    backbone_layout.check_layout(backbone)
    assert backbone_layout.check_element_order(backbone, 8, 12) == 4
    assert backbone_layout.check_planted_changes(backbone) > len(backbone.layout().blocks)
    assert {block.role for block in backbone.layout()} == {
        "embedding",
        "linear",
        "self_connection",
        "radial",
        "readout",
    }
    left = dict(backbone.model.named_parameters()).keys() - set(backbone.layout().tensors)
    assert left
    assert all(".layer_norm.affine_weight." in name for name in left)


def test_blocks_are_the_paths_of_e3nn(backbone):
    layout = backbone.layout()
    for index, layer in enumerate(backbone.model.layers):
        product, last = layer.messages.product, f"layers.{index}.radial_mlp.layers.1.weights"
        blocks = [block.indices()[0] for block in layout.of(last)]
        views = [view.reshape(-1) for view in product.weight_views(torch.arange(product.weight_numel).unsqueeze(0))]
        assert all(torch.equal(block, view) for block, view in zip(blocks, views, strict=True))


def test_copies(backbone, oxides):
    laws.check_copies(backbone, oxides)


def test_batching_and_order(backbone, oxides):
    laws.check_batching(backbone, oxides)
    laws.check_permutation(backbone, oxides[1])


@pytest.mark.parametrize("index", [0, 2], ids=["crystal", "molecule"])
def test_space(backbone, oxides, index):
    laws.check_translation(backbone, oxides[index])
    laws.check_rotation(backbone, oxides[index])
    laws.check_forces(backbone, oxides[index])


def test_cell(backbone, oxides):
    laws.check_supercell(backbone, oxides[0])
    laws.check_stress(backbone, oxides[0])


def test_range(backbone):
    laws.check_isolated_atoms(backbone, 8)
    laws.check_cutoff(backbone, "MgO", backbone.cutoff)


def test_every_periodicity(backbone, tmp_path):
    periodicity.check_structures(backbone)
    assert periodicity.check_native_file(backbone, tmp_path / "native.nqx").stress_factor == 1


def test_symmetry_of_changes(backbone, oxides):
    laws.check_symmetry_of_changes(backbone, oxides[1])
    attached.check_gates(backbone, MMEA(), oxides[1])


@pytest.mark.parametrize("spin_orbit", [False, True], ids=["isotropic", "spin-orbit"])
def test_spins(backbone, oxides, spin_orbit):
    magnetism.check_laws(backbone, oxides, "Mg", layers=3, spin_orbit=spin_orbit)


def test_native_file(single, oxides, tmp_path):
    path = tmp_path / "native.nqx"
    laws.check_native(single, path, oxides, {8: 0.25, 12: -1.5, 13: 3.0})
    laws.check_reload(single, path, oxides)


def test_writing_a_file_leaves_the_model_as_it_is(backbone, tmp_path):
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    backbone.save_native(tmp_path / "native.nqx", {8: 0.25})
    for name, value in backbone.model.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("method", [SoftThreshold(), Scale()], ids=repr)
def test_merged_equals_attached_bitwise(single, oxides, tmp_path, method):
    attached.check_merged_is_attached(single, method, tmp_path / "merged.nqx", oxides)


def test_faster_form(small, backbone, oxides, tmp_path):
    fast = load_backbone(small, dtype="float64")
    faster_form.check_faster_form(backbone, fast, oxides, tmp_path)
    assert sum(isinstance(module, EdgeProduct) for module in fast.model.modules()) == 3
    periodicity.check_no_edges(fast, [Atoms("O"), Atoms("MgO", [[0, 0, 0], [9, 0, 0]])])
    faster_form.check_training(backbone, fast, oxides, SoftThreshold())
    assert load_backbone(small).accelerate(oxides[:1])
