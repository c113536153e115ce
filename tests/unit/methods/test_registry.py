"""Methods of others: registered by hand or by an entry point, trained, saved and loaded."""

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from hypothesis import given
from torch import Generator, Tensor, nn

import equisparse
from equisparse.adapters.adapter import adapter_of
from equisparse.adapters.attach import attach
from equisparse.adapters.file import load_adapter, save_adapter
from equisparse.blocks import Block, Layout
from equisparse.errors import InputError
from equisparse.formats.dense import Dense
from equisparse.methods import registry
from equisparse.methods.base import AbstractDelta, AbstractWeightMethod, ParameterGroup
from equisparse.methods.choose import choose_method
from equisparse.methods.registry import make_method, method_class, method_names, register_method
from equisparse.testing.layouts import DTYPES, SEEDS, layouts
from equisparse.testing.methods import METHOD_LAWS, MethodCase, train
from equisparse.testing.stored_files import ADAPTER_LAYOUT, exact_network


class ShiftDelta(AbstractDelta):
    """Adds one trained number to all entries."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.shift, self._shape = nn.Parameter(weight.new_zeros(1)), weight.shape

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.shift

    def stored(self) -> dict[str, Tensor]:
        return {"change": self.shift.detach().cpu().expand(self._shape).clone()}

    def groups(self) -> list[ParameterGroup]:
        return [ParameterGroup("shift", (self.shift,))]


@dataclass(frozen=True)
class Shift(AbstractWeightMethod):
    """A method that a user wrote."""

    name: ClassVar[str] = "shift"
    speed: float = 1.0

    @property
    def format(self) -> Dense:
        return Dense()

    @property
    def learning_rate(self) -> float:
        return 1e-2 * self.speed

    def build(self, weight: Tensor, blocks: tuple[Block, ...], generator: Generator) -> AbstractDelta:
        return ShiftDelta(weight)


@pytest.fixture(autouse=True)
def _no_leftovers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "METHODS", dict(registry.METHODS))


@pytest.mark.parametrize("law", METHOD_LAWS, ids=lambda law: law.__name__)
@given(layout=layouts(), dtype=DTYPES, seed=SEEDS)
def test_the_laws_take_a_method_from_outside(law, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    law(MethodCase(Shift()), layout, dtype, seed)


def test_a_registered_method_is_trained_saved_and_loaded_without_it(tmp_path: Path) -> None:
    assert equisparse.register_method(Shift) is Shift
    method, layout = choose_method("shift", ADAPTER_LAYOUT, targets=["all"], options={"speed": 2})
    assert method == Shift(speed=2)
    model = exact_network(torch.float32)
    attachment = attach(model, method, layout)
    train(attachment, 3)
    base = {"backbone": "none", "source": "path network", "sha256": "0" * 64, "version": "0"}
    adapter = adapter_of(attachment, base=base, dtype=torch.float32, shifts={}, elements=(1,))
    attachment.detach()
    save_adapter(adapter, tmp_path / "a.safetensors")
    del registry.METHODS["shift"]
    loaded = load_adapter(tmp_path / "a.safetensors")
    assert (loaded.label, loaded.trained_by, loaded.format) == ("shift", adapter.trained_by, Dense())
    for name, weight in loaded.weights(model).items():
        assert torch.equal(weight, adapter.weights(model)[name])
        assert not torch.equal(weight, model.get_parameter(name))


def test_registering_twice_is_harmless_and_another_of_the_name_is_refused() -> None:
    register_method(Shift)
    register_method(Shift)

    @dataclass(frozen=True)
    class Other(Shift):
        pass

    with pytest.raises(InputError, match="already"):
        register_method(Other)
    assert method_class("shift") is Shift


@pytest.mark.parametrize("kind", [AbstractWeightMethod, Dense, Shift(), "shift"], ids=repr)
def test_only_classes_of_methods_are_registered(kind: object) -> None:
    with pytest.raises(InputError, match="Only a class"):
        register_method(kind)  # type: ignore[type-var]


def offer(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Let an installed package offer a method."""
    offered = metadata.EntryPoints([metadata.EntryPoint(name, value, registry.ENTRY_POINTS)])
    monkeypatch.setattr(metadata, "entry_points", lambda **wanted: offered.select(**wanted))


def test_entry_points_are_imported_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "readout2", "equisparse_that_is_not_there:Method")
    assert "readout2" in method_names()
    assert make_method("full").name == "full"
    with pytest.raises(InputError, match="cannot be imported") as caught:
        make_method("readout2")
    assert "ModuleNotFoundError" in str(caught.value)


def test_an_entry_point_gives_its_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(registry.METHODS, "full")
    offer(monkeypatch, "full", "equisparse.methods.full:Full")
    assert make_method("full").name == "full"


def test_an_entry_point_of_another_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "mine", "equisparse.methods.full:Full")
    with pytest.raises(InputError, match="another name"):
        make_method("mine")


def test_an_unknown_method_is_refused_with_the_names() -> None:
    with pytest.raises(InputError, match="soft_threshold, sparse"):
        make_method("nonsense")
