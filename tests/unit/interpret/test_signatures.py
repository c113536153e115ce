"""A planted change is found exactly where it was planted, in every kind of tensor, with the numbers it has."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equisparse.adapters.adapter import Adapter
from equisparse.blocks import Block, Layout, matrix_blocks
from equisparse.formats.entries import Entries, pack
from equisparse.interpret.signatures import largest_entries, pooled_maps, signature_table
from equisparse.testing.layouts import SEEDS, layouts
from equisparse.testing.networks import PathNetwork

BASE = {"backbone": "none", "source": "path network", "sha256": "0" * 64, "version": "0"}


def adapter_with(layout: Layout, block: Block, place: int, value: float) -> Adapter:
    """Adapter that changes one entry, given by its place in the flattened block."""
    change = torch.zeros(layout.size_of(block.tensor))
    change[block.indices().reshape(-1)[place]] = value
    return Adapter(Entries(), layout, {block.tensor: pack(change)}, {}, BASE, "float32", (1,))


@given(layouts(), SEEDS, st.data())
def test_one_entry_is_found_in_its_block_and_nowhere_else(layout: Layout, seed: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(layout.blocks) - 1))
    block = layout.blocks[number]
    place = data.draw(st.integers(0, block.numel - 1))
    adapter, model = adapter_with(layout, block, place, 0.5), PathNetwork(layout, torch.float32, seed % 1000)

    rows = signature_table(adapter, model)
    assert [row.n_changed for row in rows] == [int(other == number) for other in range(len(layout.blocks))]
    (entry,) = largest_entries(adapter, model)
    position = [int(axis) for axis in torch.unravel_index(torch.tensor(place), block.shape)]
    assert (entry.block, entry.position) == (number, " ".join(map(str, position)))
    assert entry.change == pytest.approx(0.5, abs=1e-6)
    assert set(pooled_maps(adapter, model)) == {number}


def planted(weight: list[list[float]], change: list[list[float]]) -> tuple[Adapter, PathNetwork]:
    """One tensor with a known weight and a known change."""
    shape = (len(weight), len(weight[0]))
    layout = Layout(matrix_blocks("embed.weight", [("0e->0e", 0, 1, shape)], "embedding", -1), {"embed.weight": shape})
    model = PathNetwork(layout, torch.float32, 0)
    model.get_parameter("embed.weight").data.copy_(torch.tensor(weight))
    return Adapter(Entries(), layout, {"embed.weight": pack(torch.tensor(change))}, {}, BASE, "float32", (1,)), model


def test_numbers_by_hand() -> None:
    adapter, model = planted([[3.0, -4.0], [1.0, 1.0]], [[3.0, 2.0], [0.0, 0.0]])
    row, first, second = signature_table(adapter, model, elements=(1, 8))
    assert (row.element, row.n_changed, row.fraction, row.largest) == (None, 2, 0.5, 3.0)
    assert row.relative_norm == pytest.approx(math.sqrt(13 / 27))
    assert row.one_minus_r2 == pytest.approx(13 / 33)  # new weights 6, -2, 1, 1: mean 1.5
    assert row.sign_balance == 0.0  # 3 grows, -4 shrinks
    assert (first.element, first.n_changed, first.n_weights) == (1, 2, 2)
    assert (second.element, second.n_changed, second.sign_balance) == (8, 0, None)


def test_maps_of_large_blocks_are_pooled_and_keep_the_mean_square() -> None:
    change = torch.zeros(64, 64)
    change[10, 20], change[63, 63] = 2.0, -1.0
    adapter, model = planted(torch.ones(64, 64).tolist(), change.tolist())
    (grid,) = pooled_maps(adapter, model, cells=16).values()
    assert grid.shape == (16, 16)
    assert grid.count_nonzero() == 2
    assert float(grid.square().mean()) == pytest.approx(5 / 64**2)
