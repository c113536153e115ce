"""A bank on a real foundation model: bit for bit what applying an adapter gives, and the base in between."""

from dataclasses import replace

import pytest
import torch
from ase import Atoms

pytest.importorskip("sevenn", reason="the extra sevennet is not installed")

from equisparse.adapters.adapter import Adapter, adapter_of
from equisparse.adapters.arithmetic import combine
from equisparse.adapters.attach import attach
from equisparse.adapters.bank import AdapterBank
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.prediction import Prediction
from equisparse.backbones.registry import load_backbone
from equisparse.errors import AdapterMismatchError, StateError
from equisparse.formats.entries import Entries, pack
from equisparse.methods.registry import make_method
from equisparse.methods.select import select
from equisparse.quantities import ENERGY, FORCES
from equisparse.testing.backbones import predict

METHODS = ("full", "scale", "elora", "lowrank", "mmea")


@pytest.fixture(scope="module")
def backbone() -> AbstractBackbone:
    return load_backbone("7net-0")


def entries(backbone: AbstractBackbone, seed: int) -> Adapter:
    """One in a hundred weights changed."""
    layout, generator = backbone.layout(), torch.Generator().manual_seed(seed)
    stored = {}
    for name, shape in layout.tensor_shapes.items():
        change = 0.02 * torch.randn(shape, generator=generator)
        stored[name] = pack(change * (torch.rand(shape, generator=generator) < 0.01))
    return Adapter(Entries(), layout, stored, {8: -0.5}, vars(backbone.identity), "float32", (8,))


def perturbed(backbone: AbstractBackbone, method: str) -> Adapter:
    """Random values in everything that a method trains."""
    layout = select(backbone.layout(), ("linear",))
    attachment = attach(backbone.model, make_method(method), layout)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in (p for delta in attachment.deltas.values() for p in delta.parameters()):
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    adapter = adapter_of(attachment, base=vars(backbone.identity), dtype=backbone.dtype, shifts={}, elements=(8,))
    attachment.detach()
    return adapter


def equal(one: Prediction, other: Prediction) -> bool:
    return all(torch.equal(value, other[quantity]) for quantity, value in one.items())


def test_switching_gives_what_applying_gives_and_the_base_back(backbone: AbstractBackbone, oxides: list[Atoms]) -> None:
    frames = oxides[:1]
    adapters = {"a": entries(backbone, 0), "b": entries(backbone, 1)}
    adapters |= {method: perturbed(backbone, method) for method in METHODS}
    untouched, applied = predict(backbone, frames), {}
    for name, adapter in adapters.items():
        with adapter.applied(backbone.model):
            applied[name] = predict(backbone, frames)
    bank = AdapterBank(backbone)
    for name, adapter in adapters.items():
        bank.add(name, adapter)
    for name in ("a", "full", "b", "mmea", "a", "scale", "elora", "lowrank", "mmea", "b"):
        bank.use(name)
        assert equal(predict(backbone, frames), applied[name])
        assert not equal(applied[name], untouched)
    bank.use(None)
    assert equal(predict(backbone, frames), untouched)
    backbone.check_untouched()


def test_an_adapter_plus_another_less_the_other_predicts_what_it_predicts(
    backbone: AbstractBackbone, oxides: list[Atoms]
) -> None:
    a, b = entries(backbone, 0), entries(backbone, 1)
    again = combine([combine([a, b], [1, 1]), b], [1, -1])
    results = []
    for adapter in (a, again):
        with adapter.applied(backbone.model):
            results.append(predict(backbone, oxides[:1]))
    torch.testing.assert_close(results[0][ENERGY], results[1][ENERGY], rtol=0, atol=1e-4)
    torch.testing.assert_close(results[0][FORCES], results[1][FORCES], rtol=0, atol=1e-4)
    assert again.shifts == {8: -0.5}


def test_a_training_step_on_the_model_is_noticed(oxides: list[Atoms]) -> None:
    backbone = load_backbone("7net-0")
    bank = AdapterBank(backbone)
    bank.add("a", entries(backbone, 0))
    bank.use("a")
    graphs = backbone.collate([backbone.graph(oxides[0])])
    backbone.predict(graphs, training=True)[ENERGY].sum().backward()
    torch.optim.SGD(backbone.model.parameters(), lr=1e-6).step()
    with pytest.raises(StateError, match="no longer the base of this bank"):
        bank.use(None)
    with pytest.raises(StateError, match="not as it was loaded"):
        AdapterBank(backbone)


def test_another_base_is_refused(backbone: AbstractBackbone) -> None:
    adapter = replace(entries(backbone, 0), base=vars(load_backbone("7net-0_22May2024").identity))
    with pytest.raises(AdapterMismatchError, match="7net-0_22May2024"):
        AdapterBank(backbone).add("a", adapter)
