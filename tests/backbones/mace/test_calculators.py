"""Forces and stress of every calculator, and of `evaluate`, on slabs, wires and molecules."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.bank import AdapterBank
from equisparse.backbones import upstream
from equisparse.backbones.base import AbstractBackbone
from equisparse.data.frames import unlabelled
from equisparse.deploy.calculator import AdaptedCalculator, BankCalculator, SpinCalculator
from equisparse.deploy.ensemble_calculator import EnsembleCalculator
from equisparse.formats.dense import Dense
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.predict import evaluate
from equisparse.magnetism.model import SpinModel, new_layer
from equisparse.quantities import STRESS
from equisparse.testing import magnetism, periodicity

pytestmark = pytest.mark.filterwarnings("ignore:The TorchScript type system:UserWarning")
with upstream.quiet_import():
    pytest.importorskip("mace.modules", reason="the extra mace is not installed", exc_type=ImportError)

NAMES = ("molecule in a box", "slab", "slab without a third vector", "wire", "isolated atoms over a slab")


def changed(backbone: AbstractBackbone, seed: int) -> Adapter:
    """Adapter that changes all weights at random."""
    layout, generator = backbone.layout(), torch.Generator().manual_seed(seed)
    stored = {
        name: {"change": 0.1 * torch.randn(shape, generator=generator)} for name, shape in layout.tensor_shapes.items()
    }
    return Adapter(Dense(), layout, stored, {8: -0.5, 12: 1.0}, vars(backbone.identity), "float64", (8, 12))


def bank(backbone: AbstractBackbone) -> AdapterBank:
    """Bank of two adapters."""
    adapters = AdapterBank(backbone)
    for seed, name in enumerate("ab"):
        adapters.add(name, changed(backbone, seed))
    return adapters


def with_spins(backbone: AbstractBackbone) -> SpinCalculator:
    """Calculator with a spin layer."""
    layer = new_layer(backbone, cutoff=4.0, channels=12, spin_orbit=True)
    return SpinCalculator(SpinModel(backbone, magnetism.trained_at_random(layer)))


KINDS: dict[str, Callable[[AbstractBackbone], Calculator]] = {
    "base": AdaptedCalculator,
    "bank": lambda backbone: BankCalculator(bank(backbone), "b"),
    "ensemble": lambda backbone: EnsembleCalculator(bank(backbone), ("a", "b")),
    "spins": with_spins,
}


@pytest.fixture
def backbone(model_file, load) -> AbstractBackbone:
    return load(str(model_file("scale-shift")), dtype="float64")


@pytest.fixture(scope="module")
def frames() -> dict[str, Atoms]:
    """Structures with spins, which only the model of spins reads."""
    every = periodicity.structures()
    return {name: magnetism.random_spins(every[name], seed) for seed, name in enumerate(NAMES)}


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives(backbone, frames, kind):
    periodicity.check_ase_calculator(KINDS[kind](backbone), frames)


def test_evaluate_and_calculators_agree(backbone, frames):
    dataset = FrameDataset(backbone, unlabelled(list(frames.values()), "test"), {})
    stress, calculator = evaluate(backbone, dataset)[STRESS], AdaptedCalculator(backbone)
    for atoms, matrix in zip(frames.values(), stress, strict=True):
        calculator.calculate(atoms)
        if "stress" in calculator.results:
            assert calculator.results["stress"][:3] == pytest.approx(matrix.diagonal(), abs=1e-12)
        else:
            assert np.isnan(matrix).all()
