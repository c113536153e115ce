"""Targets: all, roles, orders, patterns, and taking out."""

import pytest

from equisparse.blocks import Layout, matrix_blocks
from equisparse.errors import SelectionError
from equisparse.methods.select import select

LAYOUT = Layout(
    (
        *matrix_blocks("embed.weight", [("0e->0e", 0, 1, (2, 2))], "embedding", -1),
        *matrix_blocks("0_mix.weight", [("0e->0e", 0, 1, (2, 2)), ("1o->1o", 1, -1, (2, 2))], "linear", 0),
        *matrix_blocks("1_mix.weight", [("0e->0e", 0, 1, (2, 2)), ("2e->2e", 2, 1, (2, 2))], "linear", 1),
        *matrix_blocks("1_radial.weight", [("radial", 0, 1, (2, 2))], "radial", 1),
    ),
    {"embed.weight": (4,), "0_mix.weight": (8,), "1_mix.weight": (8,), "1_radial.weight": (2, 2)},
    100,
)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (["all"], ["embed.weight", "0_mix.weight", "1_mix.weight", "1_radial.weight"]),
        (["linear"], ["0_mix.weight", "1_mix.weight"]),
        (["radial", "embedding"], ["embed.weight", "1_radial.weight"]),
        (["l=1"], ["0_mix.weight"]),
        (["l=0", "!l=1"], ["embed.weight", "1_mix.weight", "1_radial.weight"]),
        (["1_*"], ["1_mix.weight", "1_radial.weight"]),
        (["all", "!radial", "!embed*"], ["0_mix.weight", "1_mix.weight"]),
        (["!radial", "all"], ["embed.weight", "0_mix.weight", "1_mix.weight", "1_radial.weight"]),
    ],
)
def test_targets(targets, expected):
    chosen = select(LAYOUT, targets)
    assert list(chosen.tensors) == expected
    assert chosen.total_parameters == 100


@pytest.mark.parametrize("target", ["readout", "l=3", "2_*", "L=1", "Linear", "!contraction", ""])
def test_a_target_without_a_match_is_an_error_that_lists_what_there_is(target):
    with pytest.raises(SelectionError, match=r"roles here: embedding, linear, radial; first names: embed\.weight"):
        select(LAYOUT, ["all", target])


@pytest.mark.parametrize("targets", [[], ["linear", "!linear"], ["all", "!all"]])
def test_an_empty_selection_is_an_error(targets):
    with pytest.raises(SelectionError, match="No tensor is selected"):
        select(LAYOUT, targets)
