"""Compiled convolutions: the numbers of the plain form, or a message that says why there are none."""

import shutil
from collections.abc import Iterator

import pytest
import torch
from e3nn import o3
from torch import nn

from equisparse.backbones.e3nn import compiler
from equisparse.backbones.e3nn.compiled import compile_convolutions
from equisparse.backbones.e3nn.convolution import convolve
from equisparse.backbones.e3nn.edge_product import EdgeProduct
from equisparse.backbones.e3nn.fused import FusedConvolution
from equisparse.errors import BackboneError

needs_compiler = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("g++", "clang++", "c++")), reason="no C++ compiler"
)


@pytest.fixture
def fresh() -> Iterator[None]:
    """Forget the libraries that are loaded, before and after a test."""
    compiler.library.cache_clear()
    yield
    compiler.library.cache_clear()


@pytest.fixture
def threads() -> Iterator[None]:
    """Three threads during a test."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def edge_product(dtype: torch.dtype, channels: int = 5) -> EdgeProduct:
    """Product with several paths of an irrep, one irrep that no path uses, and outputs in another order."""
    features, harmonics = o3.Irreps(f"{channels}x0e+2x1o+17x2e+4x3o"), o3.Irreps("1x0e+1x1o+1x2e")
    outputs = o3.Irreps(f"17x2e+{channels}x0e+{channels}x1o+2x0e+17x1o")
    paths = [(0, 0, 1), (0, 1, 2), (1, 1, 3), (2, 0, 0), (2, 1, 4)]
    instructions = [(*path, "uvu", True) for path in paths]
    product = o3.TensorProduct(features, harmonics, outputs, instructions, internal_weights=False, shared_weights=False)
    return EdgeProduct(product.to(dtype)).to(dtype)


def values(product: EdgeProduct, n_atoms: int, n_edges: int) -> list[torch.Tensor]:
    """Value of a convolution, and derivatives of a function of its derivatives."""
    generator = torch.Generator().manual_seed(1)
    dtype = product.coefficients.dtype
    inputs, harmonics, weights, _ = product.sizes
    sizes = ((n_atoms, inputs), (n_edges, harmonics), (n_edges, weights))
    arguments = [torch.randn(size, generator=generator, dtype=dtype).requires_grad_() for size in sizes]
    source, target = torch.randint(n_atoms, (2, n_edges), generator=generator)
    value = convolve(product, *arguments, source=source, target=target)
    first = torch.autograd.grad(value.square().sum(), arguments, create_graph=True)
    second = torch.autograd.grad(sum(gradient.square().sum() for gradient in first), arguments)
    return [value, *first, *second]


@needs_compiler
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("n_edges", [0, 1, 200])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_values_and_both_derivatives(dtype, n_edges):
    product = edge_product(dtype)
    expected = values(product, 9, n_edges)
    assert compile_convolutions(product) == 1
    scales = {torch.float64: 1e-12, torch.float32: 1e-5}
    for one, two in zip(expected, values(product, 9, n_edges), strict=True):
        assert one.shape == two.shape
        if one.numel():
            assert float((one - two).detach().abs().max()) <= scales[dtype] * float(one.detach().abs().max())


@needs_compiler
def test_a_third_derivative_is_refused():
    product = edge_product(torch.float64)
    compile_convolutions(product)
    x = torch.randn(2, product.sizes[0], dtype=torch.float64, requires_grad=True)
    harmonics, weights = (torch.ones(1, size, dtype=torch.float64, requires_grad=True) for size in product.sizes[1:3])
    value = convolve(product, x, harmonics, weights, source=torch.tensor([0]), target=torch.tensor([1]))
    (first,) = torch.autograd.grad(value.square().sum(), weights, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), weights, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        second.sum().backward()


def test_a_model_without_a_faster_form_has_nothing_to_compile():
    assert compile_convolutions(nn.Linear(2, 2)) == 0


def test_irreps_beyond_the_loops_stay_as_they_are():
    sums = FusedConvolution([(2, 9)], [], [])
    assert not sums.fits()


@needs_compiler
def test_rows_of_another_length_are_refused():
    product = edge_product(torch.float64)
    compile_convolutions(product)
    x, harmonics, weights = (torch.ones(1, size + 1, dtype=torch.float64) for size in product.sizes[:3])
    with pytest.raises(ValueError, match="rows of"):
        product.fused(x, harmonics[:, :1] @ product.coefficients[:1], weights, *torch.zeros(2, 1, dtype=torch.int32))


@needs_compiler
def test_other_numbers_are_refused(monkeypatch):
    call = FusedConvolution.call

    def wrong(self, name, edges, arguments, results):
        call(self, name, edges, arguments, results)
        if name == "second":
            results[-1].mul_(1.001)

    monkeypatch.setattr(FusedConvolution, "call", wrong)
    product = edge_product(torch.float64)
    with pytest.raises(BackboneError, match="gives other numbers"):
        compile_convolutions(product)
    assert not product.compiled


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("command", "cause"), [("no-such-compiler", "no C..? compiler was found"), ("false", "no message")]
)
def test_without_a_working_compiler(command, cause, monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", command)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    product = edge_product(torch.float64)
    with pytest.raises(BackboneError, match=cause):
        compile_convolutions(product)
    assert not product.compiled
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@needs_compiler
@pytest.mark.usefixtures("fresh")
def test_a_damaged_library_is_a_message(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiler, "_built", lambda command, folder: compiler._SOURCE)
    with pytest.raises(BackboneError, match="cannot be compiled"):
        compiler.library(torch.float64)
