"""Short runs follow one schedule, and long runs another one."""

import pytest
import torch

from equisparse.blocks import Layout, matrix_blocks
from equisparse.methods.annealing import annealed
from equisparse.methods.base import Controller, Renewal
from equisparse.methods.by_length import ByLength
from equisparse.methods.fewest import FALLBACK
from equisparse.methods.sparse import FEW_STEPS, Sparse

LAYOUT = Layout(matrix_blocks("w", [("path", 0, 1, (30, 40))], "linear", 0), {"w": (30, 40)}, 1200)


def controller(method: Sparse) -> Controller:
    """Controller of a method with one delta."""
    delta = method.build(torch.ones(30, 40), LAYOUT.of("w"), torch.Generator().manual_seed(0))
    return method.controller({"w": delta}, LAYOUT)


@pytest.mark.parametrize("changed", [None, 0.1])
def test_a_short_run_is_annealed_once_and_a_long_one_in_stages(changed: float | None) -> None:
    short, long = controller(Sparse(changed=changed)), controller(Sparse(changed=changed))
    rates = [short.lr_factor(step, 200, 20) for step in range(200)]
    assert rates == [annealed(step, 200, 20) for step in range(200)]
    end = FEW_STEPS // 2
    assert long.lr_factor(end - 1, FEW_STEPS, 20) < 1e-3
    assert long.ends_stage(end, FEW_STEPS)
    assert not short.ends_stage(end, FEW_STEPS)


@pytest.mark.parametrize(
    ("changed", "steps", "ends"),
    [
        (0.01, 199, []),
        (0.01, 200, [120, 140]),
        (0.01, 1000, [400, 500, 700]),
        (0.03, 1000, [600, 700]),
        (0.03, 200, [140]),
        (0.1, 200, [160]),
        (None, 200, [160]),
        (0.31, 200, []),
    ],
)
def test_a_run_with_natural_gradient_has_the_stages_that_its_steps_allow(
    changed: float | None, steps: int, ends: list[int]
) -> None:
    one = controller(Sparse(changed=changed, rates="molecule"))
    assert [step for step in range(1, steps + 1) if one.ends_stage(step, steps)] == ends


def test_a_short_run_without_a_target_ends_at_the_fallback() -> None:
    method = Sparse(rank=None)
    delta = method.build(torch.ones(30, 40), LAYOUT.of("w"), torch.Generator().manual_seed(0))
    one = method.controller({"w": delta}, LAYOUT)
    started = [step for step in range(200) if one.start_step(step, 200, lambda: iter(())) is Renewal.CHANGE]
    assert started == [140]
    assert int(delta.get_buffer("mask").sum()) == round(FALLBACK * 1200)
    assert one.trials == ()


def test_a_finished_short_run_that_gets_more_steps_keeps_its_schedule() -> None:
    first, second = controller(Sparse()), controller(Sparse())
    first.lr_factor(0, 200, 20)
    second.lr_factor(0, 2 * FEW_STEPS, 20)  # the schedule is made before the state is loaded
    second.load_state(first.state())
    assert not any(second.ends_stage(step, 2 * FEW_STEPS) for step in range(200, 2 * FEW_STEPS))


def test_a_checkpoint_of_a_version_with_one_controller_less_is_read() -> None:
    one = controller(Sparse(changed=0.01, rates="molecule"))
    one.load_state({"is_short": False, "short": {}, "long": {}})
    assert one.ends_stage(400, 1000)


@pytest.mark.parametrize(("annealing", "ends"), [("once", False), ("stages", True)])
def test_the_schedule_can_be_chosen(annealing: str, ends: bool) -> None:
    assert controller(Sparse(annealing=annealing)).ends_stage(100, 200) == ends


def test_actions_of_the_chosen_controller_run() -> None:
    class Counting(Controller):
        """Counts its calls."""

        calls = 0

        def before_step(self, step: int, total: int) -> None:
            self.calls += 1

        def after_step(self, step: int, total: int) -> None:
            self.calls += 1

    short, long = Counting(), Counting()
    both = ByLength(short, long, fewest=10)
    both.before_step(0, 10)
    both.after_step(0, 10)
    assert (short.calls, long.calls) == (0, 2)


def test_a_search_of_a_version_with_one_controller_less_goes_on() -> None:
    before = controller(Sparse(annealing="stages", rates="molecule"))
    before.lr_factor(0, 1000, 20)
    before.end_stage(600, 1000, lambda: 1.0)
    one = controller(Sparse(rates="molecule"))
    one.load_state({"is_short": False, "short": {}, "long": before.state()})
    assert one.trials == before.trials
    assert one.ends_stage(760, 1000)
