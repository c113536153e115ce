"""The method `lowrank` keeps to its size, gives ranks where they count, and leaves alone what the data do not reach."""

import pytest
import torch

from equisparse.adapters.attach import attach
from equisparse.blocks import Layout, matrix_blocks
from equisparse.errors import InputError
from equisparse.methods.lowrank import LowRank
from equisparse.testing.methods import train
from equisparse.testing.networks import PathNetwork

BLOCKS = matrix_blocks("mix.weight", [("0e->0e", 0, 1, (8, 8)), ("1o->1o", 1, -1, (6, 6))], "linear", 0)
LAYOUT = Layout(tuple(BLOCKS), {"mix.weight": (100,)}, 400)
RANKS_BYTES = 2 * len(BLOCKS)


def trained(method, layout=LAYOUT, steps=60):
    attachment = attach(PathNetwork(layout, torch.float32, seed=0), method, layout)
    train(attachment, steps)
    return attachment


@pytest.mark.parametrize("value_bytes", [30, 100, 250])
def test_the_size_is_not_exceeded_and_nearly_used(value_bytes):
    method = LowRank().fit_into(value_bytes, LAYOUT)
    parts = trained(method).stored()["mix.weight"]
    used = sum(part.numel() * part.element_size() for part in parts.values())
    assert value_bytes - (8 + 8 + 4) < used <= value_bytes


def test_a_path_without_a_gradient_gets_no_rank():
    attachment = attach(PathNetwork(LAYOUT, torch.float32, seed=0), LowRank(value_bytes=64), LAYOUT)
    delta, controller = attachment.deltas["mix.weight"], attachment.controller()
    up = delta.get_parameter("up")
    with torch.no_grad():
        delta.get_parameter("down").fill_(1.0)
    for step in range(10):
        up.grad = torch.ones_like(up).index_fill(0, torch.arange(64), 0.0)  # the factors of the first path
        controller.before_step(step, 10)
        controller.after_step(step, 10)
    assert delta.stored()["ranks"].tolist() == [0, 4]


def test_without_a_size_all_components_are_kept():
    assert trained(LowRank(rank=3)).stored()["mix.weight"]["ranks"].tolist() == [3, 3]


def test_rows_that_the_data_do_not_reach_stay_at_the_base():
    model = PathNetwork(LAYOUT, torch.float32, seed=0)
    base = model.weights()["mix.weight"]
    model.features[0][:, 2] = 0.0  # the third channel of the first path
    attachment = attach(model, LowRank(rank=4), LAYOUT)
    train(attachment, 20)
    merged = model.behaviour()["mix.weight"]
    rows = (merged != base)[:64].view(8, 8).any(1)
    assert rows.tolist() == [True, True, False, True, True, True, True, True]


@pytest.mark.parametrize("options", [{"rank": 0}, {"prune_interval": 0}, {"prune_start": 0.8}])
def test_an_option_out_of_range_is_refused(options):
    with pytest.raises(InputError, match="out of range"):
        LowRank(**options)


def test_a_size_below_one_component_is_refused():
    with pytest.raises(InputError, match="too small for one component"):
        LowRank().fit_into(RANKS_BYTES + (6 + 6 + 4) - 1, LAYOUT)
