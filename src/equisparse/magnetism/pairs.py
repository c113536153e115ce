"""Pairs of neighbours, each listed once, with a radial basis that is smooth up to the cutoff."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

N_RADIAL = 8
"""Number of functions in the radial basis."""

_FADE = 0.8
"""Fraction of the cutoff at which the envelope starts to fall; not less, since 180-degree superexchange reaches far."""


@dataclass(frozen=True)
class Pairs:
    """Neighbours within the cutoff; each pair of atoms, or of an atom and an image, is listed once.

    Parameters
    ----------
    first, second : Tensor, shape (n_pairs,), int64
        Indices of the two atoms.
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


def pairs_of(edges: Tensor, vectors: Tensor, cutoff: float, selected: Tensor | None = None) -> Pairs:
    """Pairs from edges that are listed in both directions.

    Parameters
    ----------
    edges : Tensor, shape (2, n_edges)
    vectors : Tensor, shape (n_edges, 3), Angstrom
        Vectors from the first atom of an edge to the second.
    cutoff : float
        Angstrom.
    selected : Tensor of bool, shape (n_atoms,), optional
        Take only pairs with at least one of these atoms.
    """
    kept = _one_of_two(edges, vectors.detach()) & (vectors.detach().square().sum(1) < cutoff**2)
    if selected is not None:
        kept = kept & (selected[edges[0]] | selected[edges[1]])
    index = kept.nonzero().squeeze(1)
    vector = vectors.index_select(0, index)
    distance = torch.linalg.vector_norm(vector, dim=1, keepdim=True)
    first, second = edges[:, index]
    return Pairs(first, second, vector / distance, _bessel(distance, cutoff), _envelope(distance / cutoff))


def _one_of_two(edges: Tensor, vectors: Tensor) -> Tensor:
    """Mask of the edges from a lower to a higher index, and of one of the two edges between an atom and its image."""
    x, y, z = vectors.unbind(1)
    up = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
    return (edges[0] < edges[1]) | ((edges[0] == edges[1]) & up)


def _bessel(distance: Tensor, cutoff: float) -> Tensor:
    """Radial basis, shape (n_pairs, N_RADIAL), of distances of shape (n_pairs, 1)."""
    n = torch.arange(1, N_RADIAL + 1, dtype=distance.dtype, device=distance.device)
    return math.sqrt(2 / cutoff) * torch.sin(math.pi / cutoff * n * distance) / distance


def _envelope(x: Tensor) -> Tensor:
    """Smooth step from 1 at x = `_FADE` to 0 at x = 1, with first and second derivatives of zero at both ends."""
    t = ((x - _FADE) / (1 - _FADE)).clamp_min(0.0)
    return 1 - t**3 * (10 - 15 * t + 6 * t**2)
