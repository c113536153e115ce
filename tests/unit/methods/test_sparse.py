"""The method `sparse` keeps its promise: as many changed entries, or bytes, as were asked for."""

import pytest
import torch

from equisparse.adapters.attach import Attachment, attach
from equisparse.blocks import Layout, column_blocks, matrix_blocks
from equisparse.errors import InputError
from equisparse.methods.sparse import Sparse
from equisparse.testing.methods import train
from equisparse.testing.networks import PathNetwork

LAYOUT = Layout(
    (
        *matrix_blocks("mix.weight", [("0e->0e", 0, 1, (8, 8)), ("1o->1o", 1, -1, (6, 6))], "linear", 0),
        *column_blocks("radial.weight", 10, [("0ex0e->0e", 0, 1, 5), ("1ox0e->1o", 1, -1, 5)], "radial", 0),
    ),
    {"mix.weight": (100,), "radial.weight": (10, 10)},
    400,
)


def trained(method: Sparse, dtype: torch.dtype = torch.float32, steps: int = 60) -> Attachment:
    attachment = attach(PathNetwork(LAYOUT, dtype, seed=0), method, LAYOUT)
    train(attachment, steps)
    return attachment


@pytest.mark.parametrize("changed", [1 / 400, 0.03, 0.25, 0.45, 0.5])
def test_asked_number_of_entries_is_kept(changed):
    stored = trained(Sparse(changed=changed, prune_end=0.3)).stored()
    assert sum(parts["value"].numel() for parts in stored.values()) == round(changed * 400)


@pytest.mark.parametrize("value_bytes", [60, 303, 800])
def test_asked_bytes_are_not_exceeded(value_bytes):
    stored = trained(Sparse(value_bytes=value_bytes)).stored()
    used = sum(part.numel() * part.element_size() for parts in stored.values() for part in parts.values())
    assert value_bytes - 4 < used <= value_bytes


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.0), (0.0, 1.0), (0.5, 0.5), (0.9, 1.0)])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_promise_is_kept_in_short_runs_and_at_the_ends_of_the_schedule(start, end, steps):
    stored = trained(Sparse(changed=0.01, prune_start=start, prune_end=end), steps=steps).stored()
    assert sum(parts["value"].numel() for parts in stored.values()) == 4


def test_masks_are_zero_or_one():
    attachment = trained(Sparse(changed=0.45, prune_end=0.2), steps=120)
    masks = torch.cat([delta.get_buffer("mask").reshape(-1) for delta in attachment.deltas.values()])
    assert set(masks.tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    "options",
    [{"changed": 0.0}, {"changed": 0.51}, {"changed": -1.0}, {"value_bytes": 0}, {"value_bytes": 801}],
)
def test_a_target_out_of_reach_is_refused(options):
    with pytest.raises(InputError, match="out of reach"):
        Sparse(**options).resolve(LAYOUT)


@pytest.mark.parametrize(
    "options",
    [{"prune_interval": 0}, {"prune_start": 0.7, "prune_end": 0.5}, {"prune_end": 1.5}, {"dense_lr": 0.0}],
)
def test_an_option_out_of_range_is_refused(options):
    with pytest.raises(InputError, match="out of range"):
        Sparse(**options)


def test_a_target_is_needed():
    with pytest.raises(InputError, match="needs a number of entries or a size"):
        Sparse().resolve(LAYOUT)


def test_two_targets_are_refused():
    with pytest.raises(InputError, match="mutually exclusive"):
        Sparse(changed=0.1, value_bytes=100)
