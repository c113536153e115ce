"""Stages of a run: how many entries, how long, and at which learning rate."""

import pytest
import torch

from equisparse.blocks import Layout, matrix_blocks
from equisparse.methods.annealing import annealed
from equisparse.methods.sparse_delta import SparseDelta
from equisparse.methods.stages import MORE_WAYPOINTS, StagedPruning, stages_to

LAYOUT = Layout(matrix_blocks("mix.weight", [("0e->0e", 0, 1, (30, 30))], "linear", 0), {"mix.weight": (900,)}, 1000)


def controller(entries: int, *, once: bool = False) -> StagedPruning:
    return StagedPruning([], stages_to(entries, LAYOUT, dense_share=0.5, last_lr=0.8), once=once)


def test_all_stages_after_the_dense_one_can_be_natural():
    stages = stages_to(30, LAYOUT, dense_share=0.5, natural=True)
    assert [stage.natural for stage in stages] == [False, True, True]
    assert not any(stage.natural for stage in stages_to(30, LAYOUT, dense_share=0.5))


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (300, [900, 300]),
        (30, [900, 100, 30]),
        (5, [900, 100, 30, 10, 5]),
        (900, [900, 900]),
    ],
)
def test_a_run_passes_the_waypoints_above_its_target(entries, expected):
    assert [stage.entries for stage in stages_to(entries, LAYOUT, dense_share=0.5)] == expected


def test_waypoints_and_the_shortest_last_stage_can_be_chosen():
    stages = stages_to(30, LAYOUT, dense_share=0.4, waypoints=MORE_WAYPOINTS, last=4)
    assert [stage.entries for stage in stages] == [900, 300, 100, 30]
    assert [stage.share / 0.6 for stage in stages[1:]] == pytest.approx([1 / 7, 2 / 7, 4 / 7])


@pytest.mark.parametrize("entries", [300, 30, 5])
def test_shares_add_up_and_later_stages_are_longer(entries):
    stages = stages_to(entries, LAYOUT, dense_share=0.4)
    assert sum(stage.share for stage in stages) == pytest.approx(1.0)
    lengths = [stage.share for stage in stages[1:]]
    assert lengths == sorted(lengths)
    assert stages[0].share == 0.4


def test_the_learning_rate_warms_up_and_is_annealed_in_every_stage():
    one = controller(30)  # 500 dense steps, 125 at 10 %, 375 at 3 %
    rates = [one.lr_factor(step, 1000, 20) for step in range(1001)]
    assert rates[19:21] == pytest.approx([annealed(step, 500, 20) for step in (19, 20)])
    assert rates[499] < 1e-4 < rates[500] < rates[519]
    assert max(rates[500:625]) == pytest.approx(0.6, abs=0.06)
    assert max(rates[625:]) == pytest.approx(0.8, abs=0.01)
    assert rates[624] < 1e-3
    assert rates[1000] == 0


def test_the_learning_rate_is_annealed_once():
    one = controller(30, once=True)
    rates = [one.lr_factor(step, 1000, 20) for step in range(1001)]
    assert rates == [annealed(step, 1000, 20) for step in range(1001)]
    assert not any(one.ends_stage(step, 1000) for step in range(1001))  # no model on the way is finished


def test_ends_of_stages_and_the_first_model_that_may_be_kept():
    weight, generator = torch.ones(900), torch.Generator().manual_seed(0)
    delta = SparseDelta(weight, LAYOUT.blocks, rank=None, storage=None, generator=generator)
    one = StagedPruning([delta], stages_to(30, LAYOUT, dense_share=0.5), once=False)
    assert [step for step in range(1, 1001) if one.ends_stage(step, 1000)] == [500, 625]
    assert [one.ready(step, 1000) for step in (500, 625, 626, 1000)] == [False, False, True, True]
    delta.mask.zero_()
    delta.mask[:30] = 1.0  # a finished run that is trained for more epochs passes the starts of stages again
    assert not any(one.ends_stage(step, 2000) for step in range(1, 2001))
