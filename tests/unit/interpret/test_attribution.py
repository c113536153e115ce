"""Attribution takes away, or keeps alone, exactly the group that it names."""

import numpy as np
import pytest
import torch

from equisparse.adapters.adapter import Adapter
from equisparse.blocks import Block, Layout
from equisparse.errors import InputError
from equisparse.interpret.attribution import FrameErrors, attribute, group_blocks
from equisparse.testing.networks import PathNetwork

TOTALS = {"linear": 0.5, "readout": 0.25 - 0.125}
"""Sums of what the fixture plants."""


def errors_of(model: PathNetwork, base: dict[str, torch.Tensor]) -> FrameErrors:
    """Errors that are the sum of all changes, so that every difference is known; one frame has no label."""
    moved = sum(float((model.get_parameter(name).detach() - weight).sum()) for name, weight in base.items())
    energy = np.array([np.nan, moved, moved])
    return FrameErrors(energy, 2 * energy, np.array([1, 2, 3]))


@pytest.mark.parametrize("by", ["role", "layer", "l", "path", "block"])
def test_differences_are_those_of_the_group(planted: Adapter, by: str) -> None:
    model = PathNetwork(planted.layout, torch.float64, seed=0)
    base = {name: model.get_parameter(name).detach().clone() for name in planted.layout.tensors}
    groups = group_blocks(planted.layout, by)
    rows = attribute(planted, model, groups, lambda: errors_of(model, base))
    assert sum(row.n_changed for row in rows) == 3
    for row in rows:
        total = sum(TOTALS[role] for role in {block.role for block in groups[row.group]})
        assert row.without_energy == pytest.approx(-total)
        assert row.alone_energy == pytest.approx(total)
        assert row.alone_force == pytest.approx(2 * total)
        assert row.alone_force_low == pytest.approx(row.alone_force_high)  # all frames gain the same
    assert all(torch.equal(model.get_parameter(name), weight) for name, weight in base.items())


def test_without_labels_there_is_no_number(planted: Adapter) -> None:
    model = PathNetwork(planted.layout, torch.float64, seed=0)
    nothing = np.full(2, np.nan)
    groups = group_blocks(planted.layout, "role")
    (row, *_) = attribute(planted, model, groups, lambda: FrameErrors(nothing, nothing, np.array([1, 1])))
    assert row.without_force is row.alone_energy_low is None


def test_elements_are_groups_where_there_is_an_axis(planted: Adapter) -> None:
    strides = (4, 8, 1)  # stored as (elements, paths, channels)
    contraction = Block("c", "2-body->0e", 0, 1, "contraction", 0, 0, (2, 3, 4), strides)
    embedding = Block("e", "0e->0e", 0, 1, "embedding", -1, 0, (3, 5))
    groups = group_blocks(Layout((embedding, contraction), {"e": (3, 5), "c": (3, 2, 4)}, 39), "element", (1, 6, 8))
    assert list(groups) == ["H", "C", "O"]
    assert [part.view(torch.arange(15.0)).tolist() for part in groups["C"][:1]] == [[[5.0, 6.0, 7.0, 8.0, 9.0]]]
    stored = torch.arange(24.0).reshape(3, 2, 4)
    assert all(torch.equal(parts[1].view(stored), stored[slot]) for slot, parts in enumerate(groups.values()))
    with pytest.raises(InputError, match="no element axis"):
        group_blocks(planted.layout, "element")


def test_an_unknown_grouping_is_refused(planted: Adapter) -> None:
    with pytest.raises(InputError, match="layer, l, role"):
        group_blocks(planted.layout, "colour")
