"""SevenNet obeys the laws of backbones: the pretrained models, and small ones as a user would bring them."""

import copy
import math
from pathlib import Path

import pytest
import torch
from ase import Atoms
from ase.build import bulk

pytest.importorskip("sevenn", reason="the extra sevennet is not installed")
from sevenn import _const as const
from sevenn import _keys as keys
from sevenn.model_build import build_E3_equivariant_model

from equisparse.adapters.attach import attach
from equisparse.backbones import acceleration
from equisparse.backbones.base import check_elements
from equisparse.backbones.e3nn.edge_product import EdgeProduct
from equisparse.backbones.registry import backbone_class, guess, load_backbone
from equisparse.backbones.sevennet import backbone as sevennet
from equisparse.data.frames import unlabelled
from equisparse.errors import BackboneError, MissingPackageError, StateError
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.predict import evaluate
from equisparse.magnetism.model import SpinModel, new_layer
from equisparse.methods.full import Full
from equisparse.methods.mmea import MMEA
from equisparse.methods.scale import Scale
from equisparse.methods.soft_threshold import SoftThreshold
from equisparse.quantities import ENERGY, FORCES
from equisparse.testing import attached, backbone_layout, faster_form, magnetism, periodicity
from equisparse.testing import backbones as laws
from equisparse.training.anchor import layer_rows

PRETRAINED = [("7net-0", None), ("7net-0_22May2024", None), ("7net-l3i5", None), ("7net-mf-0", "R2SCAN")]
SHIFTS = {8: 0.25, 12: -1.5, 13: 3.0}
OWN_MODELS = {
    "linear": {keys.SELF_CONNECTION_TYPE: "linear"},
    "nequip": {keys.SELF_CONNECTION_TYPE: "nequip"},
    "no-parity": {keys.SELF_CONNECTION_TYPE: "nequip", keys.IS_PARITY: False},
    "one-reference": {keys.SELF_CONNECTION_TYPE: "linear", keys.SHIFT: -4.0, keys.SCALE: 2.0},
}
"""Small models as a user of SevenNet would train them: what differs from the default."""


@pytest.fixture(scope="session", params=OWN_MODELS)
def own_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint file of a small model of the user's own, in upstream's format."""
    path = tmp_path_factory.mktemp("own") / f"{request.param}.pth"
    config = copy.deepcopy(const.DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG) | {
        keys.NODE_FEATURE_MULTIPLICITY: 4,
        keys.LMAX: 2,
        keys.NUM_CONVOLUTION: 2,
        keys.CONVOLUTION_WEIGHT_NN_HIDDEN_NEURONS: [8],
        keys.CUTOFF: 4.0,
        keys.CONV_DENOMINATOR: [3.0, 3.0],
        keys.CHEMICAL_SPECIES: ["Al", "Mg", "O"],
        keys.CHEMICAL_SPECIES_BY_ATOMIC_NUMBER: [13, 12, 8],
        keys.NUM_SPECIES: 3,
        keys.TYPE_MAP: {13: 0, 12: 1, 8: 2},
        keys.USE_SPECIES_WISE_SHIFT_SCALE: True,
        keys.SHIFT: [-3.0, -1.5, -4.5],
        keys.SCALE: [1.5, 1.6, 1.7],
        keys.MODEL_TYPE: "E3_equivariant_model",
        "version": "0.12.0",
        **OWN_MODELS[request.param],
    }
    if isinstance(config[keys.SHIFT], float):
        config[keys.USE_SPECIES_WISE_SHIFT_SCALE] = False
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_E3_equivariant_model(config)
    torch.save({"model_state_dict": model.state_dict(), "config": config, "epoch": 1}, path)
    return path


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


class TestFasterForm:
    """Cheaper orders of the same sums: nothing that a user can see changes."""

    @pytest.mark.parametrize("name", [name for name, _ in PRETRAINED[1:]])
    def test_of_pretrained_models(self, name, load, oxides, tmp_path):
        self.check(load, name, dict(PRETRAINED)[name], oxides, tmp_path)

    def test_of_own_models(self, own_model, load, oxides, tmp_path):
        self.check(load, str(own_model), None, oxides, tmp_path)

    @pytest.mark.parametrize("own_model", ["linear"], indirect=True)
    def test_copies_are_on_their_own(self, own_model, load, oxides):
        backbone = load(str(own_model), dtype="float64")
        laws.check_copies(backbone, oxides[:1])
        copied = backbone.copied()
        assert copied.accelerate(oxides[:1])
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


def test_deployment_notes_name_the_file_and_the_modality(load):
    notes = load("7net-mf-0", modality="PBE").deployment_notes(Path("mine.pth"))
    assert "mine.pth" in notes
    assert "modal='PBE'" in notes
    assert math.isclose(load("7net-0").cutoff, 5.0)
