"""Pairs of neighbours: each once, with a radial basis that is smooth up to the cutoff."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

N_RADIAL = 8
"""Functions of the radial basis."""

_FADE = 0.8
"""Fraction of the cutoff from which on pairs fade: not sooner, as superexchange over 180 degrees reaches far."""


@dataclass(frozen=True)
class Pairs:
    """Neighbours within the cutoff, each pair of atoms (and image) once.

    Parameters
    ----------
    first, second : Tensor, shape (n_pairs,), int64
        Atoms.
    directions : Tensor, shape (n_pairs, 3)
        Unit vectors from the first to the second.
    radial : Tensor, shape (n_pairs, N_RADIAL)
        Bessel functions of the distance (Gasteiger et al., arXiv 2003.03123, eq. 7).
    envelope : Tensor, shape (n_pairs, 1)
        1 up to four fifths of the cutoff, 0 at the cutoff, with two continuous derivatives everywhere.
    """

    first: Tensor
    second: Tensor
    directions: Tensor
    radial: Tensor
    envelope: Tensor


def pairs_of(edges: Tensor, vectors: Tensor, cutoff: float, wanted: Tensor | None = None) -> Pairs:
    """Pairs of edges that are there in both directions.

    Parameters
    ----------
    edges : Tensor, shape (2, n_edges)
    vectors : Tensor, shape (n_edges, 3), Angstrom
        From the first atom to the second.
    cutoff : float
        Angstrom.
    wanted : Tensor of bool, shape (n_atoms,), optional
        Only pairs with at least one of these atoms.
    """
    kept = _one_of_two(edges, vectors.detach()) & (vectors.detach().square().sum(1) < cutoff**2)
    if wanted is not None:
        kept = kept & (wanted[edges[0]] | wanted[edges[1]])
    number = kept.nonzero().squeeze(1)
    vector = vectors.index_select(0, number)
    distance = torch.linalg.vector_norm(vector, dim=1, keepdim=True)
    first, second = edges[:, number]
    return Pairs(first, second, vector / distance, _bessel(distance, cutoff), _envelope(distance / cutoff))


def _one_of_two(edges: Tensor, vectors: Tensor) -> Tensor:
    """Edges from a lower to a higher number; from an atom to its own image, those that point up."""
    x, y, z = vectors.unbind(1)
    up = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
    return (edges[0] < edges[1]) | ((edges[0] == edges[1]) & up)


def _bessel(distance: Tensor, cutoff: float) -> Tensor:
    """Radial basis, shape (n_pairs, N_RADIAL), of distances of shape (n_pairs, 1)."""
    orders = torch.arange(1, N_RADIAL + 1, dtype=distance.dtype, device=distance.device)
    return math.sqrt(2 / cutoff) * torch.sin(math.pi / cutoff * orders * distance) / distance


def _envelope(x: Tensor) -> Tensor:
    """Smooth step from 1 at x = `_FADE` to 0 at x = 1, both with two derivatives that are zero."""
    t = ((x - _FADE) / (1 - _FADE)).clamp_min(0.0)
    return 1 - t**3 * (10 - 15 * t + 6 * t**2)
