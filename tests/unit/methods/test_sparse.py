"""The method `sparse` keeps its promise: as many changed entries, or bytes, as were asked for."""

from collections.abc import Mapping

import pytest
import torch

from equisparse.adapters.adapter import adapter_of, value_rounding
from equisparse.adapters.attach import Attachment, attach
from equisparse.blocks import Layout, column_blocks, matrix_blocks
from equisparse.errors import InputError
from equisparse.formats.base import Stored
from equisparse.formats.entries import Entries, compact_dtype
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
    stored = trained(Sparse(changed=changed, dense_share=0.3)).stored()
    assert sum(parts["value"].numel() for parts in stored.values()) == round(changed * 400)


def coded_bytes(stored: Mapping[str, Stored]) -> int:
    """Bytes of indices and values in a file."""
    return sum(len(contents) for contents in Entries().encode(stored, LAYOUT)[1].values())


@pytest.mark.parametrize("stored_values", ["auto", "full"])
@pytest.mark.parametrize("value_bytes", [60, 303, 400])
def test_asked_bytes_are_used_and_not_exceeded(value_bytes, stored_values):
    stored = trained(Sparse(value_bytes=value_bytes, stored_values=stored_values)).stored()
    assert 0.85 * value_bytes < coded_bytes(stored) <= value_bytes


def test_a_size_beyond_all_entries_changes_all():
    stored = trained(Sparse(value_bytes=10_000)).stored()
    assert sum(parts["value"].numel() for parts in stored.values()) == LAYOUT.numel


def test_values_are_stored_in_half_precision_where_that_is_enough():
    stored = trained(Sparse(changed=0.1)).stored()
    assert {parts["value"].dtype for parts in stored.values()} == {torch.float16}
    stored = trained(Sparse(changed=0.1, stored_values="full")).stored()
    assert {parts["value"].dtype for parts in stored.values()} == {torch.float32}


@pytest.mark.parametrize(("stored_values", "most"), [("auto", 5e-4), ("full", 0.0)])
def test_the_rounding_of_stored_values_is_measured(stored_values, most):
    attachment = trained(Sparse(changed=0.1, stored_values=stored_values))
    adapter = adapter_of(attachment, base={}, dtype=torch.float32, shifts={}, elements=())
    weights = attachment.trained_weights()
    attachment.detach()
    rounding = value_rounding(adapter, attachment.model, weights)
    assert most / 50 <= rounding <= most


@pytest.mark.parametrize(("size", "dtype"), [(1e-2, torch.float16), (1e-9, torch.float32), (1e6, torch.float32)])
def test_changes_that_half_precision_cannot_hold_keep_the_precision_of_the_model(size, dtype):
    change = size * torch.randn(100, generator=torch.Generator().manual_seed(0))
    assert compact_dtype(change) == dtype


@pytest.mark.parametrize("dense_share", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_promise_is_kept_in_short_runs_and_at_the_ends_of_the_schedule(dense_share, steps):
    stored = trained(Sparse(changed=0.01, dense_share=dense_share), steps=steps).stored()
    assert sum(parts["value"].numel() for parts in stored.values()) == 4


def test_rows_that_the_data_do_not_reach_are_those_of_the_base():
    attachment = attach(PathNetwork(LAYOUT, torch.float32, seed=0), Sparse(changed=0.5, rank=2), LAYOUT)
    controller, delta = attachment.controller(), attachment.deltas["mix.weight"]
    for step in range(3):
        delta.zero_grad()
        delta.change().reshape(-1)[8:16].sum().backward()  # the second row of the first block
        controller.before_step(step, 3)
        with torch.no_grad():
            for parameter in delta.get_submodule("raw").parameters():
                parameter -= 0.1 * parameter.grad
    assert (delta.change() != 0).sum() > 8
    assert set(delta.stored()["index"].tolist()) == set(range(8, 16))


def test_a_checkpoint_without_the_entries_that_had_a_gradient_is_read():
    attachment, other = trained(Sparse(changed=0.1), steps=5), trained(Sparse(changed=0.1), steps=1)
    for name, delta in attachment.deltas.items():
        state = {key: value for key, value in delta.state_dict().items() if key != "seen"}
        other.deltas[name].load_state_dict(state)
        torch.testing.assert_close(other.deltas[name].eval().change(), delta.train().change())


def test_masks_are_zero_or_one():
    attachment = trained(Sparse(changed=0.45, dense_share=0.2), steps=120)
    masks = torch.cat([delta.get_buffer("mask").reshape(-1) for delta in attachment.deltas.values()])
    assert set(masks.tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    "options",
    [{"changed": 0.0}, {"changed": 0.51}, {"changed": -1.0}, {"value_bytes": 0}, {"value_bytes": 2}],
)
def test_a_target_out_of_reach_is_refused(options):
    with pytest.raises(InputError, match="out of reach"):
        Sparse(**options).resolve(LAYOUT)


@pytest.mark.parametrize(
    "options",
    [{"dense_share": 1.0}, {"dense_share": -0.1}, {"rank": 0}, {"last_lr": 0.0}],
)
def test_an_option_out_of_range_is_refused(options):
    with pytest.raises(InputError, match="out of range"):
        Sparse(**options)


def test_a_type_of_values_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="stored_values"):
        Sparse(changed=0.1, stored_values="int3")


def test_without_a_target_the_number_of_entries_is_searched():
    assert Sparse().resolve(LAYOUT) == Sparse()
    with pytest.raises(InputError, match="out of range"):
        Sparse(tolerance=-0.1)


def test_two_targets_are_refused():
    with pytest.raises(InputError, match="mutually exclusive"):
        Sparse(changed=0.1, value_bytes=100)


def test_rates_follow_the_kind_of_data_unless_they_are_chosen():
    one, any_other = (Sparse().suited_to(one_molecule=kind) for kind in (True, False))
    assert one.learning_rate > any_other.learning_rate == Sparse().learning_rate
    assert Sparse(rates="general").suited_to(one_molecule=True) == Sparse(rates="general")
    assert Sparse(changed=0.1, last_lr=0.5).suited_to(one_molecule=True).last_lr == 0.5
    with pytest.raises(InputError, match="rates has no such value"):
        Sparse(rates="fast")
