"""Random combinations of predictions have the Gauss-Newton matrix of the loss as their mean outer product."""

import math

import pytest
import torch

from equisparse.inference.dataset import Batch
from equisparse.quantities import ENERGY, FORCES
from equisparse.training.loss import Loss
from equisparse.training.probes import random_combination

N_ATOMS = torch.tensor([1, 2])


def test_mean_outer_product_of_the_gradients_is_the_gauss_newton_matrix():
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(11, 4, generator=generator, dtype=torch.float64)  # 2 energies and 9 force components
    weights = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    values = matrix @ weights
    prediction = {ENERGY: values[:2], FORCES: values[2:].reshape(3, 3)}
    labels = {ENERGY: torch.tensor([1.0, math.nan]), FORCES: torch.zeros(3, 3)}
    loss = Loss({ENERGY: 2.0, FORCES: 10.0}, 0.01)
    batch = Batch(None, labels, N_ATOMS)
    mean = torch.zeros(4, 4, dtype=torch.float64)
    for _ in range(4000):
        total = random_combination(prediction, batch, loss, generator)
        (gradient,) = torch.autograd.grad(total, weights, retain_graph=True)
        mean += torch.outer(gradient, gradient) / 4000
    exact = 2.0 * torch.outer(matrix[0], matrix[0]) + 10.0 / 9 * matrix[2:].T @ matrix[2:]
    assert torch.linalg.matrix_norm(mean - exact) < 0.1 * torch.linalg.matrix_norm(exact)


@pytest.mark.parametrize("labels", [{}, {ENERGY: torch.tensor([math.nan, math.nan])}])
def test_a_batch_without_labels_has_no_curvature(labels):
    energies = torch.ones(2, requires_grad=True)
    batch = Batch(None, labels, N_ATOMS)
    total = random_combination({ENERGY: energies}, batch, Loss({ENERGY: 1.0}, 0.01), torch.Generator())
    (gradient,) = torch.autograd.grad(total, energies)
    assert not gradient.any()
