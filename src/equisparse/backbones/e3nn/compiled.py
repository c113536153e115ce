"""Switch a model to compiled convolutions, after a self-check of each."""

import copy

import torch
from torch import Tensor, nn

from equisparse.backbones.e3nn.convolution import convolve
from equisparse.backbones.e3nn.edge_product import EdgeProduct
from equisparse.errors import BackboneError

TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-4}
"""Precision -> largest difference between both forms, as a fraction of the largest value."""
_ATOMS, _EDGES = 5, 12
"""Size of the random graph on which both forms are compared."""


def compilable(model: nn.Module) -> list[EdgeProduct]:
    """Edge products of the faster form of a model whose irreps the compiled loops know."""
    return [module for module in model.modules() if isinstance(module, EdgeProduct) and module.fused.fits()]


def compile_convolutions(model: nn.Module) -> int:
    """Let the convolutions of the faster form of a model use compiled loops, in place, if they give the same numbers.

    Values and derivatives of first and second order are compared in float64 and in the precision of the model.

    Parameters
    ----------
    model : Module
        Model on the CPU in its faster form.

    Returns
    -------
    int
        Number of convolutions that are compiled: 0 if the model has no faster form, or its irreps are too large.

    Raises
    ------
    BackboneError
        If the loops cannot be compiled here, or give other numbers.
    """
    products = compilable(model)
    for product in products:
        for dtype in {torch.float64, product.coefficients.dtype}:
            _check(product, dtype)
    for product in products:
        product.compiled = True
    return len(products)


def _check(product: EdgeProduct, dtype: torch.dtype) -> None:
    """Compare both forms of a convolution on a random graph."""
    other = copy.deepcopy(product).to(dtype)
    plain = _values(other)
    other.compiled = True
    differences = [
        (one - two).detach().abs().max() / one.detach().abs().max().clamp_min(1e-30)
        for one, two in zip(plain, _values(other), strict=True)
    ]
    largest = float(torch.stack(differences).max())
    if not largest <= TOLERANCES[dtype]:
        raise BackboneError(
            "A compiled convolution gives other numbers than the plain one.",
            given=f"differences up to {largest:.1e} of the largest value, in {dtype}",
            expected=f"at most {TOLERANCES[dtype]:g}",
            next_step="use --compile off, or another compiler in the environment variable CXX",
        )


def _values(product: EdgeProduct) -> list[Tensor]:
    """Value of a convolution on a random graph, and derivatives of first and second order of random combinations."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(product.coefficients).requires_grad_()

    inputs, harmonics, weights, outputs = product.sizes
    arguments = [random(_ATOMS, inputs), random(_EDGES, harmonics), random(_EDGES, weights)]
    source, target = torch.randint(_ATOMS, (2, _EDGES), generator=generator)
    value = convolve(product, *arguments, source=source, target=target)
    factor = random(_ATOMS, outputs)
    first = torch.autograd.grad((value * factor).sum(), arguments, create_graph=True)
    combined = torch.stack([(gradient * random(*gradient.shape)).sum() for gradient in first]).sum()
    return [value, *first, *torch.autograd.grad(combined, [*arguments, factor])]
