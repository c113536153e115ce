"""Products that are computed together are those that are computed one by one."""

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from equisparse.blocks import Block, matrix_blocks
from equisparse.methods.grouped import GroupedProducts
from equisparse.methods.lowrank import ComponentsDelta
from equisparse.methods.parametrization import Product, make_parametrization

SHAPES = [[(6, 4), (3, 5)], [(6, 4)], [(2, 3, 4), (6, 4)], [(3, 5), (6, 4), (1, 2)]]


def changes(count: int = 1) -> nn.ModuleList:
    """Products of tensors with blocks of these shapes, one with an element axis, and a tensor without a product."""
    generator, modules = torch.Generator().manual_seed(0), []
    for shapes in SHAPES * count:
        blocks: tuple[Block, ...] = tuple(
            matrix_blocks("w", [("0e->0e", 0, 1, shape) for shape in shapes], "linear", 0)
        )
        weight = torch.zeros(sum(block.numel for block in blocks), dtype=torch.float64)
        modules.append(make_parametrization(weight, blocks, rank=3, width=1.0, generator=generator))
    modules.append(make_parametrization(weight, blocks, rank=None, width=1.0, generator=generator))
    return nn.ModuleList(modules)


def gradients(modules: nn.ModuleList) -> list[torch.Tensor]:
    values = [module() for module in modules]
    loss = sum(
        (value * torch.arange(value.numel()).view_as(value).cos()).sum() + value.square().sum() for value in values
    )
    return [*values, *torch.autograd.grad(loss, list(modules.parameters()))]


def test_values_and_gradients_are_equal() -> None:
    modules = changes()
    alone = gradients(modules)
    grouped = GroupedProducts(modules)
    for _ in range(2):
        with grouped.computed():
            together = gradients(modules)
        for one, other in zip(alone, together, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_the_values_are_those_of_the_block_alone() -> None:
    modules = changes()
    grouped = GroupedProducts(modules)
    with pytest.raises(RuntimeError, match="in the block"), grouped.computed():
        raise RuntimeError("in the block")
    assert all(module.value is None for module in modules if isinstance(module, Product))
    with torch.no_grad():
        for parameter in modules.parameters():
            parameter.mul_(2.0)
    expected = [module() for module in modules]
    with grouped.computed():
        assert all(torch.allclose(module(), value) for module, value in zip(modules, expected, strict=True))


def test_pruned_components_are_computed_together() -> None:
    generator, deltas, weights = torch.Generator().manual_seed(0), [], []
    for shapes in SHAPES:
        blocks = tuple(matrix_blocks("w", [("0e->0e", 0, 1, shape) for shape in shapes], "linear", 0))
        weights.append(torch.randn(sum(block.numel for block in blocks), generator=generator, dtype=torch.float64))
        deltas.append(ComponentsDelta(weights[-1], blocks, rank=2, generator=generator))
        with torch.no_grad():
            deltas[-1].down.normal_(generator=generator)
            deltas[-1].restrict(torch.rand(deltas[-1].mask.shape, generator=generator) < 0.5)
    modules = nn.ModuleList(deltas)

    def numbers() -> list[torch.Tensor]:
        changed = [delta(weight) for delta, weight in zip(deltas, weights, strict=True)]
        loss = torch.cat(changed).square().sum()
        return [*changed, *torch.autograd.grad(loss, list(modules.parameters()))]

    alone = numbers()
    with GroupedProducts(modules).computed():
        assert all(delta.value is not None for delta in deltas)
        together = numbers()
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_nothing_is_computed_without_products() -> None:
    with GroupedProducts(nn.ModuleList()).computed():
        pass


def test_the_number_of_operations_does_not_grow_with_the_tensors() -> None:
    counts = []
    for count in (1, 5):
        modules = changes(count)[:-1]
        grouped = GroupedProducts(modules)
        with profile(activities=[ProfilerActivity.CPU]) as seen, grouped.computed():
            [module() for module in modules]
        counts.append(
            sum(event.name in ("aten::mm", "aten::bmm", "aten::cat", "aten::index_select") for event in seen.events())
        )
    assert counts[0] == counts[1]
