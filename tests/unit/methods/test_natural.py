"""Few entries are trained by natural gradient: curvature, steps, and what a checkpoint keeps."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from equisparse.methods import curvature, natural
from equisparse.methods.curvature import Curvature, CurvatureSum
from equisparse.methods.natural import NaturalDescent

SHAPE = (4, 5)


class Entries:
    """Delta of one block, whose entries are all trained or some of them; its probes have a given curvature."""

    def __init__(self, support: Tensor, curvature: Curvature) -> None:
        self.entries = nn.Parameter(torch.zeros(support.shape, dtype=torch.float64))
        self.support, self.curvature, self.begun = support, curvature, False
        self.size = torch.tensor(1.0)
        self._generator = torch.Generator().manual_seed(9)

    def start_probing(self) -> None:
        pass

    def take_probe(self) -> Tensor:
        noise = torch.randn(SHAPE, generator=self._generator, dtype=torch.float64)
        inputs, outputs = (torch.linalg.cholesky(m) for m in (self.curvature.inputs, self.curvature.outputs))
        return inputs @ noise @ outputs.T

    def end_probing(self) -> None:
        pass

    def train_entries(self) -> None:
        self.begun = True

    def supports(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        columns, rows = self.support.T.nonzero(as_tuple=True)
        return [(rows, columns, rows * self.support.shape[1] + columns)]


def random_curvature(seed: int) -> Curvature:
    generator = torch.Generator().manual_seed(seed)
    inputs, outputs = (torch.randn(n, 3 * n, generator=generator, dtype=torch.float64) for n in SHAPE)
    return Curvature(inputs @ inputs.T, outputs @ outputs.T)


def probes(count: int = 8) -> Iterator[None]:
    """Some probes; what they find is up to the delta."""
    yield from [None] * count


def step(descent: NaturalDescent, entries: Entries, target: Tensor) -> None:
    """Take a step on the quadratic model with a minimum at `target`."""
    difference = (entries.entries.detach() - target) * entries.support
    entries.entries.grad = entries.support * (entries.curvature.inputs @ difference @ entries.curvature.outputs)
    descent.step(0.1)


def descend(entries: Entries, target: Tensor, steps: int) -> NaturalDescent:
    """Begin, and take steps."""
    descent = NaturalDescent([entries])
    descent.begin([[entries.curvature]], probes)
    for _ in range(steps):
        step(descent, entries, target)
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
    stretch = torch.tensor([1e-1, 1, 1, 1e2], dtype=torch.float64)
    entries = Entries(support, Curvature(one.inputs * stretch[:, None] * stretch, one.outputs))
    descend(entries, target, 400)
    torch.testing.assert_close(entries.entries.detach(), target * support, atol=0.02, rtol=0.02)


def test_paths_that_share_predictions_take_smaller_steps() -> None:
    support, one = torch.ones(SHAPE, dtype=torch.bool), random_curvature(3)

    def length_of_a_step(copies: int) -> float:
        deltas = [Entries(support, one) for _ in range(copies)]  # their probes are equal, as if they were one path
        descent = NaturalDescent(deltas)
        descent.begin([[one]] * copies, probes)
        for delta in deltas:
            delta.entries.grad = torch.ones(SHAPE, dtype=torch.float64)
        descent.step(1e-3)
        return float(deltas[0].entries.detach().norm())

    assert length_of_a_step(4) == pytest.approx(length_of_a_step(1) / 4)


def test_a_step_is_at_most_a_part_of_the_size_of_the_weights() -> None:
    entries = Entries(torch.ones(SHAPE, dtype=torch.bool), random_curvature(3))
    descent = NaturalDescent([entries])
    descent.begin([[entries.curvature]], probes)
    entries.entries.grad = torch.full(SHAPE, 1e9, dtype=torch.float64)
    descent.step(1.0)
    assert float(entries.entries.detach().square().mean().sqrt()) == pytest.approx(natural.LARGEST_STEP)


def test_without_enough_probes_the_rate_is_careful() -> None:
    entries = Entries(torch.ones(SHAPE, dtype=torch.bool), random_curvature(3))
    descent = NaturalDescent([entries])
    descent.begin([[entries.curvature]], lambda: probes(1))
    assert descent.state()["rate"] == natural.RATE * natural.CAREFUL


def test_only_entries_of_the_support_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(natural, "_MOST_NUMBERS", 12)  # divides the path into pieces
    support = torch.zeros(SHAPE, dtype=torch.bool)
    support[1, :3] = support[3, 2] = True
    entries = Entries(support, random_curvature(4))
    descend(entries, torch.ones(SHAPE, dtype=torch.float64), 200)
    assert entries.begun
    assert not entries.entries[~support].any()
    torch.testing.assert_close(entries.entries[support].detach(), torch.ones(4, dtype=torch.float64), atol=0.1, rtol=0)


def test_a_resumed_descent_takes_the_same_steps() -> None:
    support, target = torch.ones(SHAPE, dtype=torch.bool), torch.ones(SHAPE, dtype=torch.float64)
    whole, first, second = (Entries(support, random_curvature(5)) for _ in range(3))
    descend(whole, target, 8)
    stopped = descend(first, target, 5)
    resumed = NaturalDescent([second])
    resumed.load_state(stopped.state())
    with torch.no_grad():
        second.entries.copy_(first.entries)
    assert resumed.has_begun
    for _ in range(3):
        step(resumed, second, target)
    assert torch.equal(second.entries, whole.entries)


def test_a_descent_that_has_not_begun_has_an_empty_state() -> None:
    descent = NaturalDescent([Entries(torch.ones(SHAPE, dtype=torch.bool), random_curvature(6))])
    descent.load_state(descent.state())
    descent.load_state({})
    assert not descent.has_begun


def test_entries_without_any_curvature_stay() -> None:
    zero = Curvature(torch.zeros(4, 4, dtype=torch.float64), torch.zeros(5, 5, dtype=torch.float64))
    entries = Entries(torch.ones(SHAPE, dtype=torch.bool), random_curvature(6))
    descent = NaturalDescent([entries])
    descent.begin([[zero]], probes)
    entries.entries.grad = torch.zeros(SHAPE, dtype=torch.float64)
    descent.step(1.0)
    assert not entries.entries.any()
