"""Loss, errors, schedules and options on numbers that can be checked by hand."""

import math
from dataclasses import replace

import pytest
import torch
from schedulefree import AdamWScheduleFree
from torch import nn

from equisparse.backbones.prediction import Prediction
from equisparse.errors import InputError
from equisparse.methods.base import AbstractDelta, Controller, ParameterGroup, Stored
from equisparse.training.dataset import Targets
from equisparse.training.errors import ErrorSums, best_flip
from equisparse.training.loss import Loss
from equisparse.training.optim import build_optimizer, build_schedule
from equisparse.training.options import TrainingOptions
from equisparse.units import GPA_PER_EV_PER_ANG3


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


def batch() -> tuple[Prediction, Targets]:
    """Two frames of 1 and 2 atoms; the second has neither energy nor stress."""
    prediction = Prediction(torch.tensor([1.0, 5.0]), torch.zeros(3, 3), torch.zeros(2, 3, 3))
    stress = torch.stack([torch.full((3, 3), 0.002), torch.full((3, 3), math.nan)])
    targets = Targets(torch.tensor([1.004, math.nan]), torch.full((3, 3), 0.1), stress, torch.tensor([1, 2]))
    return prediction, targets


def test_energies_count_as_forces_do_where_spins_are_trained() -> None:
    weights = [Loss.of(TrainingOptions(), spins=spins) for spins in (False, True)]
    assert [loss.energy_weight for loss in weights] == [1.0, weights[1].force_weight]
    assert weights[1].moment_weight == weights[1].magnetic_force_weight == weights[1].force_weight
    assert Loss.of(TrainingOptions(energy_weight=0.0), spins=True).energy_weight == 0


def test_loss_by_hand() -> None:
    value = Loss(2.0, 10.0, 100.0, 0.01)(*batch())
    energy, force, stress = 0.5 * 0.004**2, 0.01 * (0.1 - 0.005), 0.5 * 0.002**2
    assert value.item() == pytest.approx(2 * energy + 10 * force + 100 * stress, rel=1e-4)


def test_errors_by_hand_and_summed_over_batches() -> None:
    sums = ErrorSums()
    sums.update(*batch())
    sums.update(*batch())
    metrics = sums.metrics()
    assert metrics["energy_mae_mev_per_atom"] == pytest.approx(4.0, rel=1e-4)
    assert metrics["force_rmse_mev_per_ang"] == pytest.approx(100.0, rel=1e-4)
    assert metrics["stress_mae_gpa"] == pytest.approx(0.002 * GPA_PER_EV_PER_ANG3, rel=1e-4)


def test_errors_without_labels_are_none() -> None:
    sums = ErrorSums()
    prediction, targets = batch()
    sums.update(prediction, Targets(targets.energy, targets.forces, torch.full((2, 3, 3), math.nan), targets.n_atoms))
    assert sums.metrics()["stress_mae_gpa"] is None


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


def magnetic_batch() -> tuple[Prediction, Targets]:
    """Two frames of 1 and 2 atoms; all moments of the second are turned round, and one of them has no label."""
    prediction, targets = batch()
    moments = torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, 1.0], [0.0, 0.0, -1.5]])
    labels = torch.tensor([[0.0, 0.3, 2.4], [0.0, 0.0, -1.2], [math.nan] * 3])
    forces = torch.tensor([[0.0, 0.0, 0.02], [math.nan] * 3, [math.nan] * 3])
    return replace(prediction, moments=moments, magnetic_forces=torch.zeros(3, 3)), replace(
        targets, moments=labels, magnetic_forces=forces
    )


def test_moments_turned_round_in_a_whole_frame_are_no_error() -> None:
    prediction, targets = magnetic_batch()
    strict, lenient = ErrorSums(), ErrorSums(flips=True)
    for sums in (strict, lenient):
        sums.update(prediction, targets)
    assert lenient.metrics()["moment_mae_mub"] == pytest.approx((0.5 + 0.2) / 2)
    assert strict.metrics()["moment_mae_mub"] == pytest.approx((0.5 + 2.2) / 2)
    assert lenient.metrics()["magnetic_force_mae_ev_per_mub"] == pytest.approx(0.02 / 3)


def test_only_whole_frames_are_turned_round() -> None:
    moments = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    target = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    assert best_flip(moments, target, torch.tensor([1, 1]))[:, 2].tolist() == [1.0, 1.0]
    assert best_flip(moments, target, torch.tensor([2]))[:, 2].tolist() == [1.0, -1.0]


def test_magnetic_loss_by_hand() -> None:
    prediction, targets = magnetic_batch()
    spin_free = Loss(2.0, 10.0, 100.0, 0.01)(*batch())
    value = Loss(2.0, 10.0, 100.0, 0.01, 3.0, 7.0, flips=True)(prediction, targets)
    moment = 0.01 * sum(error - 0.005 for error in (0.3, 0.4, 0.2)) / 6
    force = 0.01 * (0.02 - 0.005) / 3
    assert (value - spin_free).item() == pytest.approx(3 * moment + 7 * force, rel=1e-3)


def test_models_without_spins_have_no_magnetic_errors() -> None:
    _, targets = magnetic_batch()
    sums = ErrorSums()
    sums.update(batch()[0], targets)
    assert sums.metrics()["moment_mae_mub"] is None
    assert sums.metrics()["magnetic_force_mae_ev_per_mub"] is None
