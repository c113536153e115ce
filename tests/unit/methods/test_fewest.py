"""The search for the fewest changed entries: which levels are tried, what is restored, and how it is resumed."""

from collections.abc import Iterator

import pytest
import torch

from equisparse.blocks import Layout, matrix_blocks
from equisparse.methods import fewest
from equisparse.methods.fewest import FALLBACK, LEVELS, FewestEntries
from equisparse.methods.sparse import Sparse
from equisparse.methods.sparse_delta import SparseDelta

SHAPE, TOTAL = (30, 40), 200


@pytest.fixture(autouse=True)
def short_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trials of a few steps count."""
    monkeypatch.setattr(fewest, "FEWEST_STEPS", 5)


@pytest.fixture
def layout() -> Layout:
    blocks = matrix_blocks("w", [("path", 0, 1, SHAPE)], "linear", 0)
    return Layout(blocks, {"w": SHAPE}, SHAPE[0] * SHAPE[1])


class Trained:
    """A delta that is trained by adding random numbers, with the losses that a test wants."""

    def __init__(self, layout: Layout, losses: list[float], dense_share: float = 0.5) -> None:
        weight = torch.ones(SHAPE)
        self.delta = Sparse(rank=None).build(weight, layout.of("w"), torch.Generator().manual_seed(0))
        assert isinstance(self.delta, SparseDelta)
        self.controller = FewestEntries(
            [self.delta], layout, dense_share=dense_share, later_lr=0.75, tolerance=0.02, natural=True
        )
        self.losses, self.counts = iter(losses), list[int]()

    def probes(self) -> Iterator[None]:
        for _ in range(4):
            random = torch.randn(SHAPE)
            (self.delta(torch.ones(SHAPE)) * random).sum().backward()
            yield

    def run(self, first: int = 0, last: int = TOTAL) -> None:
        for step in range(first, last):
            self.controller.start_step(step, TOTAL, self.probes)
            self.delta(torch.ones(SHAPE)).sum().backward()
            self.controller.before_step(step, TOTAL)
            with torch.no_grad():
                for parameter in self.delta.parameters():
                    parameter.add_(torch.randn(parameter.shape), alpha=0.1)
            if self.controller.ends_stage(step + 1, TOTAL):
                self.controller.end_stage(step + 1, TOTAL, lambda: next(self.losses))
            self.counts.append(int(self.delta.mask.sum()))


def test_levels_are_tried_until_one_costs_too_much_and_the_last_good_one_is_trained_on(layout: Layout) -> None:
    trained = Trained(layout, [1.0, 1.01, 1.05])
    trained.run()
    assert [trial.accepted for trial in trained.controller.trials] == [True, True, False]
    tenth, third = (round(fraction * layout.numel) for fraction in LEVELS[:2])
    assert [trial.entries for trial in trained.controller.trials] == [layout.numel, tenth, third]
    assert trained.counts[99:101] == [layout.numel, tenth]
    assert trained.counts[-1] == int((trained.delta.change() != 0).sum()) == tenth
    assert trained.controller.ready(TOTAL, TOTAL)
    assert not trained.controller.ready(120, TOTAL)


def test_a_level_that_is_restored_has_the_values_that_it_had(layout: Layout) -> None:
    trained = Trained(layout, [1.0, 1.0, 9.0])
    trained.run(last=140)  # dense to 100, 10 % to 140
    at_ten = trained.delta.change().detach().clone()
    trained.run(140, 164)  # 3 %, refused
    assert not torch.equal(trained.delta.change(), at_ten)
    trained.controller.start_step(164, TOTAL, trained.probes)
    torch.testing.assert_close(trained.delta.change(), at_ten)


def test_without_any_good_level_the_fallback_is_trained(layout: Layout) -> None:
    trained = Trained(layout, [1.0, 2.0])
    trained.run()
    assert trained.counts[-1] == round(FALLBACK * layout.numel)


def test_without_steps_for_a_trial_there_is_none(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    trained = Trained(layout, [1.0])
    trained.run()
    assert len(trained.controller.trials) == 1
    assert trained.counts[99:101] == [layout.numel, round(FALLBACK * layout.numel)]


def test_all_levels_may_be_good(layout: Layout) -> None:
    trained = Trained(layout, [1.0, 0.9, 0.8, 0.7, 0.6])
    trained.run()
    assert trained.counts[-1] == round(LEVELS[-1] * layout.numel)
    assert len(trained.controller.trials) == 1 + len(LEVELS)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_never_good(layout: Layout, loss: float) -> None:
    trained = Trained(layout, [1.0, loss])
    trained.run()
    assert not trained.controller.trials[-1].accepted


def test_after_a_dense_stage_that_diverged_nothing_is_removed(layout: Layout) -> None:
    trained = Trained(layout, [float("nan")])
    trained.run()
    assert trained.counts[-1] == layout.numel


def test_the_rate_falls_to_zero_in_every_stage(layout: Layout) -> None:
    trained = Trained(layout, [1.0, 1.0, 9.0])
    rates = []
    for step in range(TOTAL):
        rates.append(trained.controller.lr_factor(step, TOTAL, 20))
        trained.run(step, step + 1)
    ends = [99, 139, 163, 199]
    assert all(rates[end] < 0.01 for end in ends)
    assert all(max(rates[first:end]) > 0.5 for first, end in zip([0, 100, 140, 164], ends, strict=True))


def test_a_run_that_starts_from_a_change_is_judged_by_it(layout: Layout) -> None:
    trained = Trained(layout, [1.0, 5.0], dense_share=0.0)
    assert trained.controller.lr_factor(0, TOTAL, 20) == 0.0
    trained.run()
    assert trained.counts[0] == layout.numel
    assert trained.counts[1] < layout.numel


@pytest.mark.parametrize("stop", [50, 100, 130, 140, 164, 180])
def test_a_resumed_search_ends_as_if_it_was_never_stopped(layout: Layout, stop: int) -> None:
    whole, first, second = (Trained(layout, [1.0, 1.0, 9.0]) for _ in range(3))
    torch.manual_seed(1)
    whole.run()
    torch.manual_seed(1)
    first.run(last=stop)
    second.delta.load_state_dict(first.delta.state_dict())
    second.controller.lr_factor(0, TOTAL, 20)  # the schedule is made before the state is loaded
    second.controller.load_state(first.controller.state())
    second.losses = first.losses
    second.run(stop)
    assert second.counts[-1] == whole.counts[-1]
    assert second.controller.trials == whole.controller.trials
    torch.testing.assert_close(second.delta.change(), whole.delta.change())


def test_one_step_is_enough_to_end(layout: Layout) -> None:
    trained = Trained(layout, [])
    trained.controller.start_step(0, 1, trained.probes)
    assert not trained.controller.ends_stage(1, 1)
    assert trained.controller.ready(1, 1)
