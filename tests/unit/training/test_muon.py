"""Muon on parameters that hold several matrices."""

from copy import deepcopy
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equisparse.blocks import Block
from equisparse.methods.matrices import Matrices, consecutive_matrices, matrices_of_blocks
from equisparse.training.muon import Muon, orthogonalized

block = partial(Block, "weight", "0e->0e", 0, 1)


def square(offset: int, shape: tuple[int, ...], role: str = "linear") -> Block:
    return block(role, 0, offset, shape)


@given(st.integers(1, 3), st.integers(2, 9), st.integers(2, 9), st.integers(0, 99))
def test_singular_values_are_brought_near_one_and_directions_kept(n: int, rows: int, columns: int, seed: int) -> None:
    matrices = torch.randn(n, rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    u, _, vt = torch.linalg.svd(matrices, full_matrices=False)
    inner = u.mT @ orthogonalized(1e-3 * matrices) @ vt.mT
    values = inner.diagonal(dim1=1, dim2=2)
    assert (inner - torch.diag_embed(values)).abs().max() < 1e-8
    assert values.max() < 1.3
    assert values[:, 0].min() > 0.6  # the largest; tiny ones need more iterations


def test_nothing_comes_of_nothing() -> None:
    matrices = torch.zeros(2, 3, 4)
    matrices[1, 0] = 1.0
    result = orthogonalized(matrices)
    assert not result[0].any()
    assert not result[1, 1:].any()


@pytest.mark.parametrize("scale", [1e-44, 1e-36, 1e-30, 1e-22, 1.0, 1e22, 1e36])
def test_any_size_in_single_precision_is_brought_to_the_same(scale: float) -> None:
    matrices = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    result = orthogonalized(scale * matrices)
    assert result.isfinite().all()
    if 1e-37 < scale < 1e37:
        assert torch.allclose(result, orthogonalized(matrices), atol=1e-4)


def test_a_matrix_that_has_lost_its_gradient_stays_where_it_is() -> None:
    where = consecutive_matrices([(2, 3), (2, 3)])
    parameter = torch.nn.Parameter(torch.ones(12))
    optimizer = Muon([parameter], lr=0.1, matrices={parameter: where}, weight_decay=0.0)
    generator = torch.Generator().manual_seed(0)
    for step in range(1200):
        if step == 3:
            kept = where[1].view(parameter).detach().clone()
        parameter.grad = torch.randn(12, generator=generator)
        if step >= 3:
            where[1].view(parameter.grad).zero_()
        optimizer.step()
    assert torch.equal(where[1].view(parameter), kept)
    assert parameter.isfinite().all()


def test_matrices_of_blocks_are_the_blocks() -> None:
    flat = torch.arange(24.0)
    (plain, per_element) = matrices_of_blocks([square(0, (2, 3)), square(6, (3, 2, 3), "self_connection")])
    assert plain.view(flat).tolist() == [flat[:6].view(2, 3).tolist()]
    assert torch.equal(per_element.view(flat), flat[6:].view(3, 2, 3).transpose(0, 1))


@pytest.mark.parametrize(
    "blocks",
    [[square(0, (4,))], [square(0, (4, 1))], [square(0, (2, 2), "embedding")], [square(0, (2, 2)), square(4, (1, 3))]],
)
def test_vectors_and_tables_are_no_matrices(blocks: list[Block]) -> None:
    assert matrices_of_blocks(blocks) == ()


def test_consecutive_matrices_tile() -> None:
    first, second = consecutive_matrices([(2, 2), (1, 3)])
    assert first.view(torch.arange(7)).tolist() == [[[0, 1], [2, 3]]]
    assert second.view(torch.arange(7)).tolist() == [[[4, 5, 6]]]


def test_a_step_is_orthogonal_for_matrices_and_adamw_for_the_rest() -> None:
    generator = torch.Generator().manual_seed(0)
    both = [torch.nn.Parameter(torch.randn(12, generator=generator, dtype=torch.float64)) for _ in range(2)]
    start = [parameter.detach().clone() for parameter in both]
    twin = torch.nn.Parameter(start[1].clone())
    where: tuple[Matrices, ...] = consecutive_matrices([(2, 3), (3, 2)])
    options = {"lr": 0.1, "weight_decay": 0.5}
    muon = Muon(both, matrices={both[0]: where}, **options)
    adamw = torch.optim.AdamW([twin], **options)
    gradients = [torch.randn(12, generator=generator, dtype=torch.float64) for _ in range(2)]
    for parameter, gradient in zip([*both, twin], [*gradients, gradients[1]], strict=True):
        parameter.grad = gradient.clone()
    muon.step()
    adamw.step()
    assert torch.equal(both[1], twin)
    for matrices in where:
        moved = matrices.view(both[0].detach() - 0.95 * start[0])
        expected = -0.1 * 0.2 * 3**0.5 * orthogonalized(matrices.view(gradients[0]))
        assert torch.allclose(moved, expected)


def test_momentum_survives_a_checkpoint() -> None:
    where = consecutive_matrices([(2, 3)])

    def steps(parameter: torch.nn.Parameter, optimizer: Muon, numbers: range) -> None:
        for number in numbers:
            parameter.grad = torch.randn(6, generator=torch.Generator().manual_seed(number))
            optimizer.step()

    parameter = torch.nn.Parameter(torch.ones(6))
    optimizer = Muon([parameter], lr=0.1, matrices={parameter: where})
    steps(parameter, optimizer, range(3))
    copied = torch.nn.Parameter(parameter.detach().clone())
    resumed = Muon([copied], lr=0.1, matrices={copied: where})
    resumed.load_state_dict(deepcopy(optimizer.state_dict()))
    steps(parameter, optimizer, range(3, 6))
    steps(copied, resumed, range(3, 6))
    assert torch.equal(parameter, copied)


def test_a_quadratic_is_minimised() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(4, 4, generator=generator)
    parameter = torch.nn.Parameter(torch.zeros(16))
    optimizer = Muon([parameter], lr=0.3, matrices={parameter: consecutive_matrices([(4, 4)])})
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / 100)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        error = (parameter.view(4, 4) - target).square().sum()
        error.backward()
        return error

    first = loss().item()
    for _ in range(100):
        optimizer.step(loss)
        schedule.step()
    assert loss().item() < 1e-3 * first


def test_parameters_of_one_group_move_as_they_would_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [[(4, 3), (2, 5)], [(2, 5)], [(3, 4), (4, 3)]]
    together = [torch.nn.Parameter(torch.randn(sum(a * b for a, b in each), generator=generator)) for each in shapes]
    alone = deepcopy(together)
    places = [consecutive_matrices(each) for each in shapes]
    optimizers = [Muon(together, lr=0.1, matrices=dict(zip(together, places, strict=True)))]
    optimizers += [Muon([one], lr=0.1, matrices={one: where}) for one, where in zip(alone, places, strict=True)]
    for _ in range(3):
        for a, b in zip(together, alone, strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(together, alone, strict=True))


def test_a_weight_that_is_stored_transposed_moves_like_any_other() -> None:
    gradient = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    moved = []
    for start in (torch.ones(3, 4), torch.ones(4, 3).mT):
        parameter = torch.nn.Parameter(start)
        parameter.grad = gradient.clone()
        Muon([parameter], lr=0.1, matrices={parameter: consecutive_matrices([(3, 4)])}).step()
        moved.append(parameter.detach())
    assert torch.equal(*moved)
