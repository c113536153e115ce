"""Spin layers on SevenNet obey the laws of magnetism: on the pretrained model, on its faster form, and with a delta."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

pytest.importorskip("sevenn", reason="the extra sevennet is not installed")

from equisparse.adapters.attach import attach
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.prediction import FinalFeatures
from equisparse.backbones.registry import load_backbone
from equisparse.errors import AdapterError, BackboneError, InputError
from equisparse.magnetism.layer import SpinLayer
from equisparse.magnetism.model import SpinModel, new_layer, spins_of
from equisparse.magnetism.options import SpinOptions
from equisparse.magnetism.width import SHARE
from equisparse.methods.soft_threshold import SoftThreshold
from equisparse.quantities import MAGNETIC_FORCES
from equisparse.testing import backbones as backbone_laws
from equisparse.testing import magnetism as laws
from equisparse.testing.backbones import predict, rattled

KINDS = {
    "isotropic": {},
    "order": {"input": "order", "scales": {28: 1.3, 26: 2.1}},
    "spin-orbit": {"spin_orbit": True},
    "short": {"cutoff": 3.2},
}
"""Spin layers that are tried: what differs from the default."""


@pytest.fixture(scope="module")
def frames() -> list[Atoms]:
    """A metal, an oxide and a molecule, without symmetry, with spins of all directions."""
    iron = bulk("Fe", a=2.85, cubic=True).repeat((2, 1, 1))
    oxide = bulk("NiO", "rocksalt", a=4.17)
    oxide = oxide.repeat((2, 1, 1))
    cluster = Atoms("Fe3O", [[0, 0, 0], [2.5, 0.4, 0], [0.7, 2.5, 0.5], [1.8, 1.7, -1.5]])
    return [laws.random_spins(rattled(atoms, n), n) for n, atoms in enumerate((iron, oxide, cluster))]


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, load) -> SpinModel:
    """A spin layer with random weights on 7net-0 in float64."""
    backbone = load("7net-0", dtype="float64")
    layer = new_layer(backbone, **{"cutoff": 5.0, "channels": 24, **KINDS[request.param]})
    return SpinModel(backbone, laws.trained_at_random(layer))


class TestLaws:
    """What holds for every spin layer."""

    def test_time_reversal(self, model, frames):
        for atoms in frames:
            laws.check_time_reversal(model, atoms)

    def test_spins_turn_alone(self, model, frames):
        for atoms in frames[:2]:
            if model.layer.options.spin_orbit:
                laws.check_spin_orbit(model, atoms)
            else:
                laws.check_spin_rotation(model, atoms)

    def test_atoms_and_spins_turn_together(self, model, frames):
        for atoms in frames:
            laws.check_rotation(model, atoms, improper=False)  # 7net-0 does not promise inversion

    def test_no_spins(self, model, frames):
        laws.check_no_spins(model, frames)

    def test_permutation(self, model, frames):
        for atoms in frames[1:]:
            laws.check_permutation(model, atoms)

    def test_batching(self, model, frames):
        backbone_laws.check_batching(model, frames)

    def test_translation_and_supercell(self, model, frames):
        backbone_laws.check_translation(model, frames[1])
        backbone_laws.check_supercell(model, frames[1])

    def test_forces(self, model, frames):
        for atoms in frames[1:]:
            backbone_laws.check_forces(model, atoms, directions=2)

    def test_stress(self, model, frames):
        backbone_laws.check_stress(model, frames[1])

    def test_every_periodicity(self, model):
        laws.check_periodicities(model, "Fe")

    def test_magnetic_forces(self, model, frames):
        for atoms in frames:
            laws.check_magnetic_forces(model, atoms)

    def test_locality(self, model):
        laws.check_locality(model, "Fe", layers=5)

    def test_smooth(self, model):
        laws.check_smooth(model, "Fe")


class TestLayer:
    """The layer by itself, on features that promise inversion."""

    def features(self, positions: np.ndarray, scalars: torch.Tensor) -> FinalFeatures:
        first, second, vectors = neighbor_list("ijD", Atoms(["Fe"] * len(positions), positions), 5.0)
        return FinalFeatures(
            scalars=scalars,
            vectors=torch.as_tensor(vectors),
            edges=torch.as_tensor(np.stack([first, second])),
            frames=torch.zeros(len(positions), dtype=torch.int64),
            numbers=torch.full((len(positions),), 26),
            n_frames=1,
        )

    @pytest.fixture
    def layer(self) -> SpinLayer:
        layer = SpinLayer(SpinOptions(16, 5.0, 16, spin_orbit=True)).double()
        return laws.trained_at_random(layer)

    @pytest.fixture
    def atoms(self) -> tuple[np.ndarray, torch.Tensor, torch.Tensor]:
        random = np.random.default_rng(3)
        positions = 2.4 * np.indices((2, 2, 2)).reshape(3, -1).T + 0.3 * random.normal(size=(8, 3))
        return positions, *map(torch.as_tensor, (random.normal(size=(8, 16)), 2 * random.normal(size=(8, 3))))

    def test_inversion(self, layer, atoms):
        positions, scalars, spins = atoms
        energy, moments = layer(self.features(positions, scalars), spins)
        inverted = layer(self.features(-positions, scalars), spins)
        torch.testing.assert_close(inverted, (energy, moments), rtol=1e-12, atol=1e-12)

    def test_chirality_needs_broken_inversion(self, layer, atoms):
        _, scalars, _ = atoms
        centred = np.array([[-1.1, 0, 0], [1.1, 0, 0], [0.2, 2.0, 0.4], [-0.2, -2.0, -0.4]])
        alike = scalars[[0, 0, 2, 2]]
        spins = torch.zeros(4, 3, dtype=torch.float64)
        spins[0], spins[1] = torch.tensor([1.0, 0.5, 0.0]), torch.tensor([-0.2, 1.0, 0.3])
        swapped = spins[[1, 0, 2, 3]]
        left, right = (layer(self.features(centred, alike), s)[0] for s in (spins, swapped))
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)  # Moriya's first rule
        centred[3] = [1.5, -2.0, 1.0]
        left, right = (layer(self.features(centred, alike), s)[0] for s in (spins, swapped))
        assert float((left - right).detach().abs()) > 1e-6

    @pytest.mark.parametrize("spin_orbit", [False, True])
    def test_starts_at_the_spin_free_model(self, atoms, spin_orbit):
        positions, scalars, spins = atoms
        layer = SpinLayer(SpinOptions(16, 5.0, 16, spin_orbit=spin_orbit)).double()
        energy, moments = layer(self.features(positions, scalars), spins)
        assert not energy.any()
        assert torch.equal(moments, spins)

    def test_stored_and_restored(self, layer):
        again = SpinLayer.restored(layer.options.to_dict(), layer.stored())
        assert again.options == layer.options
        assert all(torch.equal(value, layer.get_parameter(name)) for name, value in again.named_parameters())
        with pytest.raises(AdapterError, match="does not fit"):
            SpinLayer.restored(layer.options.to_dict() | {"channels": 8}, layer.stored())
        with pytest.raises(AdapterError, match="options"):
            SpinLayer.restored(layer.options.to_dict() | {"channels": True}, layer.stored())
        with pytest.raises(AdapterError, match="out of range"):
            SpinLayer.restored(layer.options.to_dict() | {"cutoff": float("nan")}, layer.stored())

    def test_options_out_of_range(self):
        for wrong in ({"input": "sign"}, {"channels": 0}, {"input": "order"}, {"scales": {26: -1.0}}):
            with pytest.raises(InputError, match="out of range"):
                SpinOptions(**{"scalars": 16, "cutoff": 5.0} | wrong)


class TestModel:
    """A spin layer on a backbone."""

    def test_size(self, load):
        backbone = load("7net-0")
        layer = new_layer(backbone, cutoff=5.0)
        assert 0.08 < layer.n_parameters / 842_623 <= SHARE

    def test_of_faster_form_and_delta(self, frames, load):
        plain, fast = load("7net-0", dtype="float64"), load_backbone("7net-0", dtype="float64")
        layer = laws.trained_at_random(new_layer(plain, cutoff=5.0, channels=16))
        assert fast.accelerate([atoms[:4] for atoms in frames])
        before = predict(SpinModel(plain, layer), frames)
        after = predict(SpinModel(fast, layer), frames)
        for quantity, value in before.items():
            torch.testing.assert_close(after[quantity], value, rtol=1e-7, atol=1e-9, msg=quantity.name)
        attachment = attach(fast.model, SoftThreshold(), fast.layout())
        try:
            laws.check_no_spins(SpinModel(fast, layer), frames)
            laws.check_time_reversal(SpinModel(fast, layer), frames[0])
            backbone_laws.check_stress(SpinModel(fast, layer), frames[1])
            changed = predict(SpinModel(fast, layer), frames)
        finally:
            attachment.detach()
        assert (
            float((changed[MAGNETIC_FORCES] - before[MAGNETIC_FORCES]).abs().max()) > 1e-9
        )  # features are the delta's

    def test_refusals(self, load, frames):
        backbone = load("7net-0", dtype="float64")
        with pytest.raises(InputError, match="does not fit"):
            SpinModel(backbone, SpinLayer(SpinOptions(64, 5.0)))
        with pytest.raises(BackboneError, match="does not expose its final features"):
            AbstractBackbone.final_scalars.fget(backbone)

    def test_numbers_are_along_z(self):
        atoms = Atoms("Fe2", [[0, 0, 0], [0, 0, 2]], magmoms=[1.0, -2.0])
        assert spins_of(atoms).tolist() == [[0, 0, 1.0], [0, 0, -2.0]]
        assert not spins_of(Atoms("Fe")).any()
