"""Attach, detach, write; the laws for all methods are in tests/laws."""

import copy

import pytest
import torch

from equisparse.adapters.attach import attach, is_attached, merged_weights, write, written
from equisparse.adapters.gates import place_gates, restored_gates
from equisparse.adapters.parameters import parameter_owner
from equisparse.blocks import Layout, column_blocks, matrix_blocks
from equisparse.errors import AdapterError, InputError, SelectionError, StateError
from equisparse.formats.gates import Gates
from equisparse.formats.scales import ChannelScales
from equisparse.methods.mmea import MMEA
from equisparse.methods.scale import Scale
from equisparse.methods.soft_threshold import SoftThreshold
from equisparse.methods.sparse import Sparse
from equisparse.testing.networks import PathNetwork

LAYOUT = Layout(
    (
        *matrix_blocks("first.mix.weight", [("0e->0e", 0, 1, (3, 2)), ("1o->1o", 1, -1, (2, 2))], "linear", 0),
        *column_blocks("second.weight", 3, [("0ex0e->0e", 0, 1, 2), ("1ox0e->1o", 1, -1, 3)], "radial", 0),
    ),
    {"first.mix.weight": (10,), "second.weight": (3, 5)},
    40,
)


@pytest.fixture
def model() -> PathNetwork:
    return PathNetwork(LAYOUT, torch.float32, seed=0)


def test_attaching_twice_is_refused_and_leaves_the_first(model):
    attachment = attach(model, Scale(), LAYOUT)
    with pytest.raises(StateError, match=r"call `detach\(\)` first"):
        attach(model, Scale(), LAYOUT)
    assert is_attached(model)
    attachment.detach()
    assert not is_attached(model)


def test_a_refused_option_leaves_the_model_untouched(model):
    flags = [parameter.requires_grad for parameter in model.parameters()]
    with pytest.raises(InputError, match="out of reach"):
        attach(model, Sparse(changed=0.9), LAYOUT)
    assert not is_attached(model)
    assert [parameter.requires_grad for parameter in model.parameters()] == flags


def test_only_the_selected_tensors_are_touched(model):
    attachment = attach(model, Scale(), LAYOUT.restrict(["second.weight"]))
    assert list(attachment.deltas) == ["second.weight"]
    assert not hasattr(model.get_submodule("first.mix"), "parametrizations")
    assert not any(p.requires_grad for name, p in model.named_parameters() if not name.startswith("second.param"))


def test_gates_sit_on_modules_that_take_invariants_only(model):
    attachment = attach(model, MMEA(), LAYOUT)
    assert list(attachment.deltas) == list(attachment.layout.tensors) == ["first.mix.weight"]
    assert is_attached(model)
    attachment.detach()
    assert not is_attached(model)


def test_gates_without_a_place_are_refused_and_leave_the_model_untouched(model):
    flags = [parameter.requires_grad for parameter in model.parameters()]
    with pytest.raises(SelectionError, match="No selected module can have a gate"):
        attach(model, MMEA(), LAYOUT.restrict(["second.weight"]))
    assert not is_attached(model)
    assert [parameter.requires_grad for parameter in model.parameters()] == flags


def test_a_copy_of_a_gated_model_uses_its_own_gates(model):
    attachment = attach(model, MMEA(), LAYOUT)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        attachment.deltas["first.mix.weight"].get_parameter("gate.up_bias").add_(1.0)
    before = twin(twin.features)
    attachment.detach()
    assert all(map(torch.equal, twin(twin.features), before))
    assert all(map(torch.equal, model(model.features), before))


def test_gates_on_gates_are_refused(model):
    gates = attach(model, MMEA(), LAYOUT).deltas
    with pytest.raises(StateError, match="has gates already"):
        place_gates(model, gates)


@pytest.mark.parametrize("part", ["down", "down_bias", "up", "up_bias"])
def test_stored_gates_that_do_not_fit_are_refused(model, part):
    attachment = attach(model, MMEA(rank=3), LAYOUT)
    stored = attachment.stored()
    attachment.detach()
    parts = stored["first.mix.weight"]
    parts[part] = parts[part][:-1]
    with pytest.raises(AdapterError, match=r"first.mix.weight: down \([23], 3\)"):
        restored_gates(model, Gates(), stored)


def test_detach_can_be_followed_by_another_attach(model):
    before = model.weights()
    attach(model, Scale(), LAYOUT).detach()
    attach(model, SoftThreshold(), LAYOUT).detach()
    assert all(torch.equal(weight, before[name]) for name, weight in model.weights().items())


def test_a_copy_of_an_attached_model_is_independent(model):
    attachment = attach(model, Scale(), LAYOUT)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        attachment.deltas["second.weight"].get_parameter("input_scale").add_(1.0)
    assert not torch.equal(model.weight("second.weight"), twin.weight("second.weight"))
    assert not any(id(p) in set(map(id, twin.parameters())) for p in model.parameters())


def test_written_restores_also_after_an_error(model):
    before = model.weights()
    other = {"second.weight": torch.ones(3, 5)}

    def fail_within() -> None:
        with written(model, other):
            assert torch.equal(model.weight("second.weight"), other["second.weight"])
            raise KeyError

    with pytest.raises(KeyError):
        fail_within()
    assert all(torch.equal(weight, before[name]) for name, weight in model.weights().items())


def test_write_changes_in_place(model):
    parameter = model.get_parameter("second.weight")
    write(model, {"second.weight": torch.ones(3, 5)})
    assert parameter.sum() == 15
    assert model.get_parameter("second.weight") is parameter


def test_merged_weights_of_nothing_stored_are_none(model):
    assert merged_weights(model, ChannelScales(), LAYOUT, {}) == {}


def test_owner_of_a_parameter_of_the_model_itself(model):
    assert parameter_owner(model, "frozen") == (model, "frozen")
    assert parameter_owner(model, "first.mix.weight") == (model.get_submodule("first.mix"), "weight")
