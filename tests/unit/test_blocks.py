"""Blocks are views of tensors; the blocks of a layout tile its tensors; layouts survive JSON."""

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equisparse.blocks import Block, Layout, column_blocks, matrix_blocks, output_irrep
from equisparse.testing.layouts import layouts


@given(layouts())
def test_blocks_tile_every_tensor_exactly(layout: Layout):
    for name, shape in layout.tensor_shapes.items():
        covered = torch.cat([block.indices().reshape(-1) for block in layout.of(name)])
        assert covered.sort().values.tolist() == list(range(math.prod(shape)))
    assert layout.numel == sum(math.prod(shape) for shape in layout.tensor_shapes.values())


@given(layouts())
def test_view_and_indices_name_the_same_entries(layout: Layout):
    for block in layout:
        weight = torch.arange(math.prod(layout.tensor_shapes[block.tensor])).reshape(layout.tensor_shapes[block.tensor])
        assert block.view(weight).shape == block.shape == block.indices().shape
        assert torch.equal(block.view(weight), block.indices())


def test_view_shares_memory_with_the_weight():
    weight = torch.nn.Parameter(torch.zeros(2, 5))
    _, right = column_blocks("w", 2, [("a", 0, 1, 2), ("b", 0, 1, 3)], "radial", 0)
    right.view(weight).fill_(1)
    assert weight.tolist() == [[0, 0, 1, 1, 1]] * 2


def test_matrix_blocks_follow_one_another():
    first, second = matrix_blocks("w", [("0e->0e", 0, 1, (2, 3)), ("1o->1o", 1, -1, (2, 4, 3))], "linear", 1)
    assert (first.offset, second.offset) == (0, 6)
    assert (first.steps, second.steps) == ((3, 1), (12, 3, 1))
    assert (second.numel, second.l, second.parity, second.layer) == (24, 1, -1, 1)


@given(layouts())
def test_layouts_survive_json(layout: Layout):
    assert Layout.from_dict(json.loads(json.dumps(layout.to_dict()))) == layout


@given(layouts(), st.data())
def test_restricting_keeps_the_order_and_the_total(layout: Layout, data: st.DataObject):
    names = data.draw(st.sets(st.sampled_from(layout.tensors)))
    part = layout.restrict(names)
    assert part.tensors == tuple(name for name in layout.tensors if name in names)
    assert tuple(part) == tuple(block for block in layout if block.tensor in names)
    assert part.total_parameters == layout.total_parameters


@pytest.mark.parametrize(
    ("path", "irrep"),
    [("1e->1e", (1, 1)), ("1ex2e->3o", (3, -1)), ("0ex12o->12o", (12, -1)), ("radial", (0, 1)), ("", (0, 1))],
)
def test_output_irrep(path, irrep):
    assert output_irrep(path) == irrep


def test_blocks_cannot_be_changed():
    block = Block("w", "0e->0e", 0, 1, "linear", 0, 0, (1, 1))
    with pytest.raises(AttributeError):
        block.offset = 3  # type: ignore[misc]
