"""MACE's symmetric contraction, evaluated as the polynomial that it is.

A contraction of order n sums ``U_ij..k w_k x_i x_j ..`` over all components i, j, .. of the features x of a channel.
The products do not depend on the order of their factors, and the selection rules of angular momentum leave few of
them: 77 of 4096 for scalars made of three features with l <= 3. They are computed once for all orders and irreps.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

SMALLEST = 1e-13
"""Coefficients below this fraction of the largest one are sums that cancel up to rounding."""

Monomial: TypeAlias = tuple[int, ...]
"""Components of the factors, ascending; the component after the last one is the constant 1."""


class Polynomials(nn.Module):
    """Module that computes the same function as a SymmetricContraction of MACE.

    Parameters
    ----------
    contraction : SymmetricContraction
        The module to replace; its weights stay where they are and are passed to `forward`.
    """

    factors: Tensor
    coefficients: Tensor

    def __init__(self, contraction: Any) -> None:
        super().__init__()
        parts = [_terms(part) for part in contraction.contractions]
        degree = max(part.correlation for part in contraction.contractions)
        self._lengths = [next(iter(terms.values())).numel() for terms in parts]
        monomials = sorted({monomial for terms in parts for monomial in terms})
        example = next(contraction.buffers())
        components = contraction.contractions[0].U_tensors(1).shape[-2]
        self.register_buffer("factors", _selections(monomials, degree, components).to(example), persistent=False)
        columns = [_column_matrix(monomials, terms) for terms in parts]
        self.register_buffer("coefficients", torch.cat(columns).to(example), persistent=False)

    def forward(self, features: Tensor, attributes: Tensor, weights: Iterable[Tensor]) -> Tensor:
        """Compute the contraction.

        Parameters
        ----------
        features : Tensor, shape (n_atoms, n_channels, n_components)
        attributes : Tensor, shape (n_atoms, n_elements)
        weights : iterable of Tensor, one per output irrep, each of shape (n_elements, n_weights, n_channels)
            Weights of the highest order first.

        Returns
        -------
        Tensor, shape (n_atoms, dimension of the output irreps)
        """
        n_atoms, n_channels, _ = features.shape
        rows = features.flatten(0, 1).T
        rows = torch.cat([rows, rows.new_ones(1, rows.shape[1])])
        products = self.factors[0] @ rows
        for factor in self.factors[1:]:
            products = products * (factor @ rows)
        parts = (self.coefficients @ products).split(self._lengths)
        outputs = []
        for values, weight in zip(parts, weights, strict=True):
            of_atoms = torch.matmul(attributes, weight.transpose(0, 1)).reshape(-1, 1, n_atoms * n_channels)
            summed = (values.reshape(len(of_atoms), -1, n_atoms * n_channels) * of_atoms).sum(0)
            outputs.append(summed.T.reshape(n_atoms, -1))
        return torch.cat(outputs, -1)


def contraction_weights(contraction: Any) -> Iterator[Tensor]:
    """Weights of the parts of a SymmetricContraction, as `Polynomials` takes them."""
    for part in contraction.contractions:
        yield torch.cat([part.weights_max, *part.weights], 1)


def _terms(part: Any) -> dict[Monomial, Tensor]:
    """Monomial -> coefficients, shape (components of the output, all weights), of one output irrep, in float64."""
    orders = range(part.correlation, 0, -1)
    tensors = [_with_output_axis(part.U_tensors(order), order) for order in orders]
    total, start = sum(tensor.shape[-1] for tensor in tensors), 0
    terms: dict[Monomial, Tensor] = {}
    for order, tensor in zip(orders, tensors, strict=True):
        padding = (tensor.shape[1],) * (part.correlation - order)
        for index in tensor.abs().amax((0, -1)).nonzero().tolist():
            monomial = (*sorted(index), *padding)
            term = terms.setdefault(monomial, tensor.new_zeros(len(tensor), total))
            term[:, start : start + tensor.shape[-1]] += tensor[(slice(None), *index)]
        start += tensor.shape[-1]
    largest = max(float(term.abs().max()) for term in terms.values())
    return {monomial: term for monomial, term in terms.items() if float(term.abs().max()) > SMALLEST * largest}


def _with_output_axis(tensor: Tensor, order: int) -> Tensor:
    """Coupling coefficients with an axis of the output's components in front, which upstream omits for scalars."""
    wide = tensor.detach().cpu().double()
    return wide if wide.dim() == order + 2 else wide.unsqueeze(0)


def _selections(monomials: list[Monomial], degree: int, components: int) -> Tensor:
    """Matrices, shape (degree, monomials, components + 1), that select the factors of all monomials."""
    selections = torch.zeros(degree, len(monomials), components + 1)
    for row, monomial in enumerate(monomials):
        for position in range(degree):
            selections[position, row, monomial[position] if position < len(monomial) else components] = 1
    return selections


def _column_matrix(monomials: list[Monomial], terms: dict[Monomial, Tensor]) -> Tensor:
    """Coefficients of one output irrep, shape (weights * components of the output, monomials)."""
    size, count = next(iter(terms.values())).shape
    matrix = torch.zeros(count * size, len(monomials), dtype=torch.float64)
    for column, monomial in enumerate(monomials):
        if monomial in terms:
            matrix[:, column] = terms[monomial].T.flatten()
    return matrix
