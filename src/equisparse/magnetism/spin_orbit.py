"""Terms that tie spins to the lattice: what spin-orbit coupling allows and nothing else does.

Tensors are built from directions of neighbours alone. With r the unit vector of a pair, and sums over the neighbours
of an atom, V_i = sum v r (polar, odd under inversion) and Q_i = sum q (r r - 1/3) (even)::

    E_i  = sum_k k_ki s_i . Q_ki s_i                                             single-ion anisotropy
    E_ij = p (s_i . r)(s_j . r) + sum_k b_k s_i . (Q_ki + Q_kj) s_j                anisotropic exchange
         + D_ij . (s_i x s_j)                                                    Dzyaloshinskii-Moriya exchange
    D_ij = r x sum_k [ d_k (V_ki + V_kj) + e_k (Q_ki - Q_kj) r ]

r x (a polar vector) is an axial vector, as D has to be. The bracket is the same for (j, i), where r turns round, so
that D changes its sign with the order of the pair; and it is zero where the middle of a pair is a centre of inversion
(V_i = -V_j, Q_i = Q_j), as Moriya's first rule asks (Phys. Rev. 120, 91, 1960).
"""

import torch
from torch import Tensor

from equisparse.magnetism.pairs import Pairs

_N = 4
"""Channels of V and Q."""
N_PAIR_ENERGIES = 1 + 3 * _N
"""p; b, d, e."""
N_PAIR_SUMS = 2 * _N
"""v, q."""
N_SITE = 2 * _N
"""k, and the mixing of moments."""


class SpinOrbit:
    """The terms for one batch.

    Parameters
    ----------
    pairs : Pairs
    energies : Tensor, shape (n_pairs, N_PAIR_ENERGIES)
    sums : Tensor, shape (n_pairs, N_PAIR_SUMS)
        Both zero at the cutoff, and the same for both orders of a pair.
    tied : Tensor, shape (n_atoms, N_SITE)
    spins : Tensor, shape (n_atoms, 3), muB
    """

    def __init__(self, pairs: Pairs, energies: Tensor, sums: Tensor, tied: Tensor, spins: Tensor) -> None:
        self._pairs, self._spins = pairs, spins
        self._dipolar, self._two_ion, self._d, self._e = energies.split([1, _N, _N, _N], 1)
        v, q = sums.split(_N, 1)
        self._single, self._mixing = tied.split(_N, 1)
        r = pairs.directions
        tensor = r.unsqueeze(2) * r.unsqueeze(1) - torch.eye(3, dtype=r.dtype, device=r.device) / 3
        polar, quadrupoles = v.unsqueeze(2) * r.unsqueeze(1), q[..., None, None] * tensor.unsqueeze(1)
        n_atoms = len(spins)
        zeros = r.new_zeros(n_atoms, _N, 3)
        self._v = zeros.index_add(0, pairs.first, polar).index_add(0, pairs.second, -polar)
        zeros = r.new_zeros(n_atoms, _N, 3, 3)
        self._q = zeros.index_add(0, pairs.first, quadrupoles).index_add(0, pairs.second, quadrupoles)

    def site_energy(self) -> Tensor:
        """Single-ion anisotropy, shape (n_atoms, 1), eV."""
        energies = torch.einsum("na,nkab,nb->nk", self._spins, self._q, self._spins)
        total: Tensor = (self._single * energies).sum(1, keepdim=True)
        return total

    def pair_energy(self) -> Tensor:
        """Anisotropic and antisymmetric exchange, shape (n_pairs, 1), eV."""
        first, second, r = self._pairs.first, self._pairs.second, self._pairs.directions
        one, other = self._spins[first], self._spins[second]
        dipolar = self._dipolar.squeeze(1) * (one * r).sum(1) * (other * r).sum(1)
        q_one, q_other = self._q[first], self._q[second]
        two_ion = torch.einsum("nk,na,nkab,nb->n", self._two_ion, one, q_one + q_other, other)
        turned = torch.einsum("nkab,nb->nka", q_one - q_other, r)
        inner = self._d.unsqueeze(2) * (self._v[first] + self._v[second]) + self._e.unsqueeze(2) * turned
        axial = torch.linalg.cross(r, inner.sum(1))
        antisymmetric = (axial * torch.linalg.cross(one, other)).sum(1)
        energy: Tensor = dipolar + two_ion + antisymmetric
        return energy.unsqueeze(1)

    def moments(self) -> Tensor:
        """What anisotropy adds to the moments, shape (n_atoms, 3), muB."""
        added: Tensor = torch.einsum("nk,nkab,nb->na", self._mixing, self._q, self._spins)
        return added
