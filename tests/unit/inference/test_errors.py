"""Errors on numbers that can be checked by hand."""

import math

import pytest
import torch

from equisparse.backbones.prediction import Prediction
from equisparse.inference.dataset import Batch
from equisparse.inference.errors import ErrorSums, Metrics, nearest_sign
from equisparse.quantities import MOMENTS, STRESS
from equisparse.units import GPA_PER_EV_PER_ANG3

Labelled = tuple[Prediction, Batch]


def sums_of(prediction: Prediction, *batches: Batch, sign_ambiguous: bool = False) -> Metrics:
    """Errors of one prediction on some batches."""
    sums = ErrorSums(sign_ambiguous=sign_ambiguous)
    for batch in batches:
        sums.update(prediction, batch.labels, batch.n_atoms)
    return sums.metrics()


def test_errors_by_hand_and_summed_over_batches(batch: Labelled) -> None:
    prediction, labelled = batch
    metrics = sums_of(prediction, labelled, labelled)
    assert metrics["energy_mae_mev_per_atom"] == pytest.approx(4.0, rel=1e-4)
    assert metrics["force_rmse_mev_per_ang"] == pytest.approx(100.0, rel=1e-4)
    assert metrics["stress_mae_gpa"] == pytest.approx(0.002 * GPA_PER_EV_PER_ANG3, rel=1e-4)


def test_errors_without_labels_are_none(batch: Labelled) -> None:
    prediction, labelled = batch
    labelled.labels[STRESS] = torch.full((2, 3, 3), math.nan)
    assert sums_of(prediction, labelled)["stress_mae_gpa"] is None
    del labelled.labels[STRESS]
    assert sums_of(prediction, labelled)["stress_mae_gpa"] is None


def test_moments_of_the_other_sign_in_a_whole_frame_are_no_error(magnetic_batch: Labelled) -> None:
    prediction, labelled = magnetic_batch
    strict, lenient = (sums_of(prediction, labelled, sign_ambiguous=ambiguous) for ambiguous in (False, True))
    assert lenient["moment_mae_mub"] == pytest.approx((0.5 + 0.2) / 2)
    assert strict["moment_mae_mub"] == pytest.approx((0.5 + 2.2) / 2)
    assert lenient["magnetic_force_mae_ev_per_mub"] == pytest.approx(0.02 / 3)


def test_only_whole_frames_change_their_sign() -> None:
    moments = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    target = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    assert nearest_sign(MOMENTS, moments, target, torch.tensor([1, 1]))[:, 2].tolist() == [1.0, 1.0]
    assert nearest_sign(MOMENTS, moments, target, torch.tensor([2]))[:, 2].tolist() == [1.0, -1.0]


def test_models_without_spins_have_no_magnetic_errors(batch: Labelled, magnetic_batch: Labelled) -> None:
    metrics = sums_of(batch[0], magnetic_batch[1])
    assert metrics["moment_mae_mub"] is None
    assert metrics["magnetic_force_mae_ev_per_mub"] is None
