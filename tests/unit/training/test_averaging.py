"""The moving average of the trained weights: its values, its exchange with them, and a new start."""

import pytest
import torch
from torch import nn

from equisparse.errors import InputError
from equisparse.training.averaging import Average
from equisparse.training.options import TrainingOptions


def stepped(average: Average, parameter: nn.Parameter, values: list[float]) -> None:
    """Set a parameter to values one after the other, as steps do."""
    for value in values:
        with torch.no_grad():
            parameter.fill_(value)
        average.update()


def test_the_first_steps_count_little_and_later_ones_by_the_decay() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    average = Average([parameter], 0.25)
    stepped(average, parameter, [8.0, 16.0, 32.0])
    average.show(True)
    first = 2 / 11 * 8.0 + 9 / 11 * 16.0
    torch.testing.assert_close(parameter.detach(), torch.full((2,), 0.25 * first + 0.75 * 32.0))
    average.show(True)  # no second exchange
    average.show(False)
    assert parameter.tolist() == [32.0, 32.0]


def test_values_that_stay_are_averaged_exactly() -> None:
    parameter = nn.Parameter(torch.tensor([0.1, 0.0]))
    average = Average([parameter], 0.9)
    for _ in range(7):
        average.update()
    average.show(True)
    assert parameter.detach().equal(torch.tensor([0.1, 0.0]))


def test_an_average_starts_again_and_is_gone_on_from() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    average = Average([parameter], 0.9)
    average.adopt()
    assert parameter.item() == 0.0
    stepped(average, parameter, [4.0, 6.0])
    average.restart()
    stepped(average, parameter, [1.0])
    average.adopt()
    assert parameter.item() == 1.0


@pytest.mark.parametrize("shown", [False, True])
def test_a_state_is_restored(shown: bool) -> None:
    parameter, other = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    average = Average([parameter], 0.5)
    stepped(average, parameter, [4.0, 6.0])
    average.show(shown)
    with torch.no_grad():
        other.copy_(parameter)
    resumed = Average([other], 0.5)
    resumed.load_state(average.state())
    for each, its in ((average, parameter), (resumed, other)):
        each.show(False)
        stepped(each, its, [9.0])
        each.show(True)
    assert other.equal(parameter)


def test_schedulefree_averages_by_itself() -> None:
    with pytest.raises(InputError, match="no use"):
        TrainingOptions(ema=0.99, optimizer="schedulefree")
