"""The loss on numbers that can be checked by hand."""

import pytest
import torch

from equisparse.backbones.prediction import Prediction
from equisparse.inference.dataset import Batch
from equisparse.quantities import ENERGY, FORCES, MAGNETIC_FORCES, MOMENTS, STRESS
from equisparse.training.loss import Loss
from equisparse.training.options import TrainingOptions

Labelled = tuple[Prediction, Batch]


def loss(**weights: float) -> Loss:
    """Loss with some weights, energy 2, forces 10, stress 100 if not given."""
    options = TrainingOptions(**{"energy_weight": 2.0, "force_weight": 10.0, "stress_weight": 100.0} | weights)
    return Loss.of(options, sign_ambiguous=True)


def test_energies_count_as_forces_do_where_spins_are_trained() -> None:
    weights = [Loss.of(TrainingOptions(), spins=spins).weights for spins in (False, True)]
    assert [found[ENERGY] for found in weights] == [1.0, weights[1][FORCES]]
    assert weights[1][MOMENTS] == weights[1][MAGNETIC_FORCES] == weights[1][FORCES]
    assert Loss.of(TrainingOptions(energy_weight=0.0), spins=True).weights[ENERGY] == 0


def test_loss_by_hand(batch: Labelled) -> None:
    value = loss()(*batch)
    energy, force, stress = 0.5 * 0.004**2, 0.01 * (0.1 - 0.005), 0.5 * 0.002**2
    assert value.item() == pytest.approx(2 * energy + 10 * force + 100 * stress, rel=1e-4)


def test_magnetic_loss_by_hand(batch: Labelled, magnetic_batch: Labelled) -> None:
    spin_free = loss()(*batch)
    value = loss(moment_weight=3.0, magnetic_force_weight=7.0)(*magnetic_batch)
    moment = 0.01 * sum(error - 0.005 for error in (0.3, 0.4, 0.2)) / 6
    force = 0.01 * (0.02 - 0.005) / 3
    assert (value - spin_free).item() == pytest.approx(3 * moment + 7 * force, rel=1e-3)


def test_weights_of_frames_multiply_their_losses(batch: Labelled) -> None:
    prediction, plain = batch
    weights = {ENERGY: torch.tensor([3.0, 1.0]), FORCES: torch.tensor([0.5, 2.0])}
    weighted = Batch(None, plain.labels, plain.n_atoms, weights)
    energy, force, stress = 0.5 * 0.004**2, 0.01 * (0.1 - 0.005), 0.5 * 0.002**2
    expected = 2 * 3 * energy + 10 * (0.5 + 2 + 2) / 3 * force + 100 * stress
    assert loss()(prediction, weighted).item() == pytest.approx(expected, rel=1e-4)


def test_weighted_losses_of_pieces_add_up(batch: Labelled) -> None:
    prediction, plain = batch
    weights = torch.tensor([0.5, 2.0])
    whole = loss()(prediction, Batch(None, plain.labels, plain.n_atoms, {FORCES: weights}))
    counts = {ENERGY: 1, FORCES: 9, STRESS: 9}
    total = torch.tensor(0.0)
    for frame, atoms in ((0, slice(0, 1)), (1, slice(1, 3))):
        rows = {quantity: atoms if quantity.per == "atom" else slice(frame, frame + 1) for quantity in plain.labels}
        labels = {quantity: values[rows[quantity]] for quantity, values in plain.labels.items()}
        piece = Batch(None, labels, plain.n_atoms[frame : frame + 1], {FORCES: weights[frame : frame + 1]})
        total = total + loss()({q: values[rows[q]] for q, values in prediction.items()}, piece, counts)
    assert total.item() == pytest.approx(whole.item(), rel=1e-6)
