"""A bank on the smallest model: switches are exact, order does not matter, and foreign changes are noticed."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.attach import attach
from equisparse.adapters.bank import AdapterBank
from equisparse.blocks import Layout, matrix_blocks
from equisparse.errors import AdapterMismatchError, InputError, StateError
from equisparse.methods.registry import make_method
from equisparse.testing.adapters import IDENTITY, path_backbone, random_adapter
from equisparse.testing.layouts import SEEDS, layouts, linear_layouts
from equisparse.testing.networks import PathNetwork

LAYOUT = Layout(
    (
        *matrix_blocks("first.mix.weight", [("0e->0e", 0, 1, (8, 8)), ("1o->1o", 1, -1, (6, 6))], "linear", 0),
        *matrix_blocks("second.mix.weight", [("0e->0e", 0, 1, (9, 5))], "linear", 1),
    ),
    {"first.mix.weight": (100,), "second.mix.weight": (45,)},
    200,
)
WEIGHTS = ("sparse", "full", "scale", "elora", "lowrank")
"""Methods that change weights."""


def behaviour(base: Any) -> dict[str, torch.Tensor]:
    return base.model.behaviour() | dict(base.model.named_parameters())


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def copies(values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in values.items()}


@given(layout=layouts(), seed=SEEDS, order=st.lists(st.sampled_from([*WEIGHTS, None]), min_size=1, max_size=8))
def test_any_order_of_switches_gives_what_applying_gives_and_the_base_back(
    layout: Layout, seed: int, order: list[str | None]
) -> None:
    base = path_backbone(layout, seed=seed % 1000)
    untouched = copies(behaviour(base))
    adapters = {method: random_adapter(base, layout, method, seed + number) for number, method in enumerate(WEIGHTS)}
    applied: dict[str | None, dict[str, torch.Tensor]] = {None: untouched}
    for method, adapter in adapters.items():
        with adapter.applied(base.model):
            applied[method] = copies(behaviour(base))
    bank = AdapterBank(base)
    for method, adapter in adapters.items():
        bank.add(method, adapter)
    for name in order:
        bank.use(name)
        assert bank.in_use == name
        assert same(behaviour(base), applied[name])
    bank.use(None)
    assert same(behaviour(base), untouched)
    base.check_untouched()


@given(layout=linear_layouts(), seed=SEEDS)
def test_gates_and_weights_switch_on_one_base(layout: Layout, seed: int) -> None:
    base = path_backbone(layout, seed=seed % 1000)
    untouched = copies(behaviour(base))
    gates, weights = random_adapter(base, layout, "mmea", seed), random_adapter(base, layout, "sparse", seed)
    bank = AdapterBank(base)
    bank.add("gates", gates)
    bank.add("weights", weights)
    for name, adapter in (("gates", gates), ("weights", weights), ("gates", gates)):
        with bank.using(name):
            found = copies(base.model.behaviour())
        with adapter.applied(base.model):
            assert same(found, base.model.behaviour())
    assert same(behaviour(base), untouched)


def test_shifts_come_with_the_adapter() -> None:
    base = path_backbone(LAYOUT)
    bank = AdapterBank(base)
    bank.add("a", random_adapter(base, LAYOUT, "sparse", 1, {8: -2.5}))
    bank.add("b", random_adapter(base, LAYOUT, "sparse", 2))
    assert bank.shifts == {}
    with bank.using("a"):
        assert bank.shifts == {8: -2.5}
        with bank.using("b"):
            assert bank.shifts == {}
        assert bank.in_use == "a"
    assert (bank.names, len(bank), bank.in_use) == (("a", "b"), 2, None)


def test_only_changed_entries_are_written() -> None:
    base = path_backbone(LAYOUT)
    bank = AdapterBank(base)
    bank.add("a", random_adapter(base, LAYOUT, "sparse", 1))
    adapter, prepared = bank["a"], bank._prepared["a"]
    assert sum(len(part.changed) for part in prepared.entries.values()) == adapter.stored_values == 37
    assert all(part.index is not None for part in prepared.entries.values())


def test_an_adapter_is_added_and_removed_while_another_is_in_use() -> None:
    base = path_backbone(LAYOUT)
    untouched = copies(behaviour(base))
    first, second = random_adapter(base, LAYOUT, "sparse", 1), random_adapter(base, LAYOUT, "full", 2)
    bank = AdapterBank(base)
    bank.add("a", first)
    bank.use("a")
    bank.add("b", second)
    with bank.using("b"):
        found = copies(behaviour(base))
    bank.remove("a")
    assert bank.in_use is None
    assert same(behaviour(base), untouched)
    with second.applied(base.model):
        assert same(behaviour(base), found)


def test_an_error_within_the_block_restores_what_was_in_use() -> None:
    base = path_backbone(LAYOUT)
    bank = AdapterBank(base)
    bank.add("a", random_adapter(base, LAYOUT, "sparse", 1))

    def fail_within() -> None:
        with bank.using("a"):
            raise KeyError

    with pytest.raises(KeyError):
        fail_within()
    assert bank.in_use is None
    base.check_untouched()


@pytest.mark.parametrize("writes", range(1, 4))
def test_a_switch_that_is_interrupted_leaves_the_base(writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    base = path_backbone(LAYOUT)
    bank = AdapterBank(base)
    for number, name in enumerate("ab"):
        bank.add(name, random_adapter(base, LAYOUT, "sparse", number))
    bank.use("a")
    write, written = torch.Tensor.index_copy_, []

    def interrupted(*arguments: Any) -> torch.Tensor:
        written.append(arguments)
        if len(written) == writes:
            raise KeyboardInterrupt
        return write(*arguments)

    monkeypatch.setattr(torch.Tensor, "index_copy_", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bank.use("b")
    assert bank.in_use is None
    base.check_untouched()
    bank.use("b")


def test_names() -> None:
    base = path_backbone(LAYOUT)
    bank = AdapterBank(base)
    with pytest.raises(InputError, match="it is empty"):
        bank.use("surface")
    bank.add("surface", random_adapter(base, LAYOUT, "sparse", 1))
    with pytest.raises(InputError, match="did you mean 'surface'"):
        bank.use("surfase")
    with pytest.raises(InputError, match="an adapter of this name"):
        bank.add("surface", random_adapter(base, LAYOUT, "sparse", 2))
    with pytest.raises(InputError, match="no adapter of this name"):
        bank.remove("bulk")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"base": vars(IDENTITY) | {"sha256": "1" * 64}}, "another base model"),
        ({"dtype": "float64"}, "another dtype"),
        ({"modality": "PBE"}, "another modality"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_adapters_that_do_not_belong_here_are_refused(other: dict[str, Any], message: str) -> None:
    base = path_backbone(LAYOUT)
    bank = AdapterBank(base)
    with pytest.raises(AdapterMismatchError, match=message):
        bank.add("a", replace(random_adapter(base, LAYOUT, "sparse", 1), **other))
    assert len(bank) == 0


def test_tensors_that_do_not_fit_are_refused() -> None:
    base = path_backbone(LAYOUT)
    other = Layout(matrix_blocks("first.mix.weight", [("0e->0e", 0, 1, (8, 9))], "linear", 0), {}, 200)
    other = replace(other, tensor_shapes={"first.mix.weight": (72,)})
    with pytest.raises(AdapterMismatchError, match="does not fit this model"):
        AdapterBank(base).add("a", random_adapter(path_backbone(other), other, "full", 1))


def test_a_base_that_is_none_is_refused_from_the_start() -> None:
    base = path_backbone(LAYOUT)
    adapter, gates = random_adapter(base, LAYOUT, "sparse", 1), random_adapter(base, LAYOUT, "mmea", 1)
    attachment = attach(base.model, make_method("full"), LAYOUT)
    with pytest.raises(StateError, match="not as it was loaded"):
        AdapterBank(base)
    attachment.detach()
    for change in (adapter, gates):
        with change.applied(base.model), pytest.raises(StateError, match="not as it was loaded"):
            AdapterBank(base)
    adapter.merge_into(base.model)
    with pytest.raises(StateError, match="load the base again"):
        AdapterBank(base)


def train(base: Any, adapter: Adapter) -> None:
    base.model.loss().backward()
    torch.optim.SGD(base.model.parameters(), lr=0.1).step()


def one_bystander(base: Any, adapter: Adapter) -> None:
    with torch.no_grad():
        base.model.get_parameter("first.mix.weight_bystander")[1] += 1


def one_of_the_adapters(base: Any, adapter: Adapter) -> None:
    """The first entry of the adapter that the bank has: it is only noticed by what the entry should be."""
    name, parts = next(iter(random_adapter(path_backbone(LAYOUT), LAYOUT, "sparse", 1).stored.items()))
    with torch.no_grad():
        base.model.get_parameter(name)[int(parts["index"][0])] += 1


FOREIGN: dict[str, Callable[[Any, Adapter], object]] = {
    "merged": lambda base, adapter: adapter.merge_into(base.model),
    "trained": train,
    "one entry": one_bystander,
    "one entry of the adapter": one_of_the_adapters,
    "attached": lambda base, adapter: attach(base.model, make_method("full"), LAYOUT),
    "gated": lambda base, adapter: attach(base.model, make_method("mmea"), LAYOUT),
    "moved": lambda base, adapter: base.model.double(),
    "loaded": lambda base, adapter: base.model.load_state_dict(PathNetwork(LAYOUT, torch.float32, 5).state_dict()),
}
"""What else can happen to a model."""


@pytest.mark.parametrize("in_use", [None, "a", "dense"])
@pytest.mark.parametrize("what", FOREIGN)
def test_a_model_that_something_else_changed_is_noticed(what: str, in_use: str | None) -> None:
    base = path_backbone(LAYOUT)
    adapter, other = random_adapter(base, LAYOUT, "sparse", 1), random_adapter(base, LAYOUT, "sparse", 2)
    bank = AdapterBank(base)
    bank.add("a", adapter)
    bank.add("dense", random_adapter(base, LAYOUT, "full", 3))
    bank.use(in_use)
    FOREIGN[what](base, other)
    for switch in (lambda: bank.use("a"), lambda: bank.use(None), lambda: bank.add("b", other)):
        with pytest.raises(StateError, match="no longer the base of this bank"):
            switch()


def test_a_change_that_was_taken_back_does_no_harm() -> None:
    base = path_backbone(LAYOUT)
    bank = AdapterBank(base)
    bank.add("a", random_adapter(base, LAYOUT, "sparse", 1))
    bank.use("a")
    with random_adapter(path_backbone(LAYOUT), LAYOUT, "full", 2).applied(base.model):
        pass
    attach(base.model, make_method("mmea"), LAYOUT).detach()
    bank.use(None)
    base.check_untouched()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda bank: pickle.loads(pickle.dumps(bank))])  # noqa: S301
def test_a_copy_of_a_bank_switches_on_its_own_model(copied: Callable[[AdapterBank], AdapterBank]) -> None:
    base = path_backbone(LAYOUT)
    bank = AdapterBank(base)
    for name in ("sparse", "lowrank", "mmea"):
        bank.add(name, random_adapter(base, LAYOUT, name, seed=1))
    found = {}
    for name in (None, *bank.names):
        with bank.using(name):
            found[name] = copies(behaviour(base))
    bank.use("mmea")
    other = copied(bank)
    assert other.in_use == "mmea"
    assert same(behaviour(other.backbone), found["mmea"])
    for name in ("sparse", None, "lowrank"):
        other.use(name)
        assert same(behaviour(other.backbone), found[name])
        assert same(behaviour(base), found["mmea"])
