"""Schedules and options of training."""

import pytest
import torch
from schedulefree import AdamWScheduleFree
from torch import nn

from equisparse.errors import InputError
from equisparse.methods.base import AbstractDelta, Controller, ParameterGroup, Stored
from equisparse.training.optim import build_optimizer, build_schedule
from equisparse.training.options import TrainingOptions


class TwoGroups(AbstractDelta):
    """A delta with one ordinary group and one with settings of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.delta, self.tau = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(1))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + self.delta

    def stored(self) -> Stored:
        return {}

    def groups(self) -> list[ParameterGroup]:
        return [
            ParameterGroup("delta", (self.delta,), lr_factor=0.5),
            ParameterGroup("threshold", (self.tau,), weight_decay=0.3, lr=0.01),
        ]


def test_groups_keep_their_settings_and_the_cosine_ends_at_zero() -> None:
    options = TrainingOptions(lr=0.04, warmup_steps=2)
    optimizer = build_optimizer([TwoGroups(), TwoGroups()], options)
    first, second = optimizer.param_groups
    assert (first["lr"], second["lr"], second["weight_decay"]) == (0.02, 0.01, 0.3)
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 2]
    schedule = build_schedule(optimizer, options, Controller(), 10)
    assert schedule is not None
    rates = []
    for _ in range(10):
        optimizer.step()
        schedule.step()
        rates.append((first["lr"], second["lr"]))
    assert rates[-1] == (pytest.approx(0.0, abs=1e-9), 0.01)
    assert max(rate for rate, _ in rates) <= 0.02


def test_schedule_free_has_no_schedule() -> None:
    options = TrainingOptions(lr=0.01, optimizer="schedulefree")
    optimizer = build_optimizer([TwoGroups()], options)
    assert isinstance(optimizer, AdamWScheduleFree)
    assert build_schedule(optimizer, options, Controller(), 10) is None


def test_options_are_resolved_and_checked() -> None:
    assert TrainingOptions().resolved(100, 0.01).epochs == 100
    assert TrainingOptions().resolved(20_000, 0.01).epochs == 10
    assert TrainingOptions(batch_size=4, devices=2).steps_per_epoch(100) == 13
    for wrong in ({"batch_size": 0}, {"epochs": 0}, {"lr": -1.0}, {"optimizer": "sgd"}):
        with pytest.raises(InputError):
            TrainingOptions(**wrong)  # type: ignore[arg-type]
