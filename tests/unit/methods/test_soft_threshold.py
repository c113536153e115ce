"""The method `soft_threshold`: options, and entries that training never reached."""

import pytest
import torch

from equisparse.adapters.adapter import adapter_of, value_rounding
from equisparse.adapters.attach import attach
from equisparse.blocks import Layout, column_blocks, matrix_blocks
from equisparse.errors import InputError
from equisparse.methods.soft_threshold import SoftThreshold
from equisparse.testing.networks import PathNetwork

LAYOUT = Layout(
    (
        *matrix_blocks("mix.weight", [("0e->0e", 0, 1, (8, 8)), ("1o->1o", 1, -1, (6, 6))], "linear", 0),
        *column_blocks("radial.weight", 10, [("0ex0e->0e", 0, 1, 5), ("1ox0e->1o", 1, -1, 5)], "radial", 0),
    ),
    {"mix.weight": (100,), "radial.weight": (10, 10)},
    400,
)


def test_an_unknown_regime_is_refused():
    with pytest.raises(InputError, match="invalid value"):
        SoftThreshold(regime="M")


@pytest.mark.parametrize("options", [{"start_threshold": 0.0}, {"start_width": 0.0}, {"tau_lr": -1.0}, {"rank": 0}])
def test_an_option_out_of_range_is_refused(options):
    with pytest.raises(InputError, match="out of range"):
        SoftThreshold(**options)


def test_entries_without_a_gradient_go_back_to_the_base():
    attachment = attach(PathNetwork(LAYOUT, torch.float32, seed=0), SoftThreshold(rank=None), LAYOUT)
    watch, delta = attachment.controller(), attachment.deltas["mix.weight"]
    delta.get_parameter("raw.entries").grad = torch.zeros(100).index_fill(0, torch.tensor([3, 50]), 1.0)
    watch.before_step(0, 1)
    assert set(delta.stored()["index"].tolist()) <= {3, 50}


def test_rows_and_columns_of_a_product_without_a_gradient_go_back_to_the_base():
    attachment = attach(PathNetwork(LAYOUT, torch.float32, seed=0), SoftThreshold(rank=2), LAYOUT)
    watch, delta = attachment.controller(), attachment.deltas["mix.weight"]
    down, up = (delta.get_parameter(f"raw.{name}") for name in ("down", "up"))
    down.grad = torch.zeros_like(down).index_fill(0, torch.tensor([2, 3]), 1.0)  # second row of the first block
    up.grad = torch.zeros_like(up).index_fill(0, torch.tensor([5]), 1.0)  # its sixth column
    watch.before_step(0, 1)
    assert set(delta.stored()["index"].tolist()) <= {8 + 5}


def test_entries_without_a_gradient_are_no_rounding_of_the_stored_change():
    attachment = attach(PathNetwork(LAYOUT, torch.float32, seed=0), SoftThreshold(rank=None, start_width=0.1), LAYOUT)
    entries = attachment.deltas["mix.weight"].get_parameter("raw.entries")
    entries.grad = torch.zeros(100).index_fill(0, torch.tensor([3, 50]), 1.0)
    attachment.controller().before_step(0, 1)
    adapter = adapter_of(attachment, base={}, dtype=torch.float32, shifts={}, elements=())
    trained = attachment.trained_weights()
    assert attachment.deltas["mix.weight"].training
    attachment.detach()
    assert value_rounding(adapter, attachment.model, trained) < 1e-6
