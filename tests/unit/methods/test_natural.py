"""Few entries are trained by natural gradient: curvature, steps, and what a checkpoint keeps."""

import pytest
import torch
from torch import Tensor, nn

from equisparse.methods import curvature, natural
from equisparse.methods.curvature import Curvature, CurvatureSum
from equisparse.methods.natural import NaturalDescent

SHAPE = (4, 5)


class Entries:
    """Delta of one block, whose entries are all trained or some of them."""

    def __init__(self, support: Tensor) -> None:
        self.entries = nn.Parameter(torch.zeros(support.shape, dtype=torch.float64))
        self.support, self.begun = support, False

    def train_entries(self) -> None:
        self.begun = True

    def supports(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        columns, rows = self.support.T.nonzero(as_tuple=True)
        return [(rows, columns, rows * self.support.shape[1] + columns)]


def random_curvature(seed: int) -> Curvature:
    generator = torch.Generator().manual_seed(seed)
    inputs, outputs = (torch.randn(n, 3 * n, generator=generator, dtype=torch.float64) for n in SHAPE)
    return Curvature(inputs @ inputs.T, outputs @ outputs.T)


def descend(entries: Entries, one: Curvature, target: Tensor, steps: int, rate: float) -> NaturalDescent:
    """Take steps on the quadratic model with a minimum at `target`."""
    descent = NaturalDescent([entries])
    descent.begin([[one]])
    for _ in range(steps):
        difference = (entries.entries.detach() - target) * entries.support
        entries.entries.grad = entries.support * (one.inputs @ difference @ one.outputs)
        descent.step(rate)
    return descent


def test_the_mean_outer_product_of_gradients_of_a_kronecker_product_is_found() -> None:
    generator = torch.Generator().manual_seed(0)
    wanted, total = random_curvature(1), CurvatureSum(*SHAPE, torch.device("cpu"))
    roots = [torch.linalg.cholesky(matrix) for matrix in (wanted.inputs, wanted.outputs)]
    for _ in range(20_000):
        noise = torch.randn(SHAPE, generator=generator, dtype=torch.float64)
        total.add(roots[0] @ noise @ roots[1].T)
    rows, columns = torch.tensor([0, 0, 3, 2]), torch.tensor([0, 4, 1, 1])
    found, exact = total.mean().between(rows, columns), wanted.between(rows, columns)
    assert (found - exact).norm() < 0.05 * exact.norm()


def test_of_many_columns_only_the_diagonal_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    gradients = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sums = [CurvatureSum(*SHAPE, torch.device("cpu"))]
    monkeypatch.setattr(curvature, "_MOST_COLUMNS", SHAPE[1] - 1)
    sums.append(CurvatureSum(*SHAPE, torch.device("cpu")))
    for one in sums:
        for gradient in gradients:
            one.add(gradient)
    whole, diagonal = (one.mean() for one in sums)
    torch.testing.assert_close(whole.output_factors, diagonal.output_factors)
    rows, columns = torch.tensor([0, 1, 2]), torch.tensor([3, 3, 0])
    wanted = whole.between(rows, columns) * (columns[:, None] == columns)
    torch.testing.assert_close(diagonal.between(rows, columns), wanted)


@pytest.mark.parametrize("share", [1.0, 0.4])
def test_steps_lead_to_the_minimum_although_curvatures_differ(share: float) -> None:
    generator = torch.Generator().manual_seed(2)
    support = torch.rand(SHAPE, generator=generator) < share
    one, target = random_curvature(3), torch.randn(SHAPE, generator=generator, dtype=torch.float64)
    stretched = Curvature(
        one.inputs * torch.tensor([[1e-2], [1], [1], [1e2]]) * torch.tensor([1e-2, 1, 1, 1e2]), one.outputs
    )
    entries = Entries(support)
    descend(entries, stretched, target, 400, 0.2)
    torch.testing.assert_close(entries.entries.detach(), target * support, atol=0.02, rtol=0.02)


def test_only_entries_of_the_support_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(natural, "_MOST_NUMBERS", 12)  # divides the path into pieces
    support = torch.zeros(SHAPE, dtype=torch.bool)
    support[1, :3] = support[3, 2] = True
    entries = Entries(support)
    descend(entries, random_curvature(4), torch.ones(SHAPE, dtype=torch.float64), 200, 0.2)
    assert entries.begun
    assert not entries.entries[~support].any()
    torch.testing.assert_close(entries.entries[support].detach(), torch.ones(4, dtype=torch.float64), atol=0.1, rtol=0)


def test_a_resumed_descent_takes_the_same_steps() -> None:
    support, target = torch.ones(SHAPE, dtype=torch.bool), torch.ones(SHAPE, dtype=torch.float64)
    one, whole, first, second = random_curvature(5), Entries(support), Entries(support), Entries(support)
    descend(whole, one, target, 8, 0.1)
    stopped = descend(first, one, target, 5, 0.1)
    resumed = NaturalDescent([second])
    resumed.load_state(stopped.state())
    with torch.no_grad():
        second.entries.copy_(first.entries)
    assert resumed.has_begun
    for _ in range(3):
        second.entries.grad = one.inputs @ (second.entries.detach() - target) @ one.outputs
        resumed.step(0.1)
    assert torch.equal(second.entries, whole.entries)


def test_a_descent_that_has_not_begun_has_an_empty_state() -> None:
    descent = NaturalDescent([Entries(torch.ones(SHAPE, dtype=torch.bool))])
    descent.load_state(descent.state())
    descent.load_state({})
    assert not descent.has_begun


def test_entries_without_any_curvature_stay() -> None:
    zero = Curvature(torch.zeros(4, 4, dtype=torch.float64), torch.zeros(5, 5, dtype=torch.float64))
    entries = Entries(torch.ones(SHAPE, dtype=torch.bool))
    descend(entries, zero, torch.ones(SHAPE, dtype=torch.float64), 3, 0.1)
    assert not entries.entries.any()
