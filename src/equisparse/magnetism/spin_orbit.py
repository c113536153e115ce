"""Terms that couple spins to the lattice, which exist only with spin-orbit coupling.

All tensors are built from directions of neighbours. With r the unit vector of a pair, and the sums over neighbours of
an atom V_i = sum v r (polar, odd under inversion) and Q_i = sum q (r r - 1/3) (even under inversion)::

    E_i  = sum_k k_ki s_i . Q_ki s_i                                             single-ion anisotropy
    E_ij = p (s_i . r)(s_j . r) + sum_k b_k s_i . (Q_ki + Q_kj) s_j                anisotropic exchange
         + D_ij . (s_i x s_j)                                                    Dzyaloshinskii-Moriya exchange
    D_ij = r x sum_k [ d_k (V_ki + V_kj) + e_k (Q_ki - Q_kj) r ]

The cross product of r with a polar vector is an axial vector, as D must be. The bracket is the same for (j, i), where r
changes its sign, so D changes its sign when the atoms of a pair are exchanged. D is zero where the midpoint of a pair
is a centre of inversion (V_i = -V_j, Q_i = Q_j): Moriya's first rule (Phys. Rev. 120, 91, 1960).
"""

import torch
from torch import Tensor

from equisparse.magnetism.pairs import Pairs

_N = 4
"""Number of channels of V and Q."""
N_PAIR_ENERGIES = 1 + 3 * _N
"""Number of coefficients per pair in the energy: p, b, d, e."""
N_PAIR_SUMS = 2 * _N
"""Number of coefficients per pair in the sums: v, q."""
N_SITE = 2 * _N
"""Number of coefficients per atom: k, and the mixing of moments."""


class SpinOrbit:
    """Spin-orbit terms of one batch.

    Parameters
    ----------
    pairs : Pairs
    energies : Tensor, shape (n_pairs, N_PAIR_ENERGIES)
    sums : Tensor, shape (n_pairs, N_PAIR_SUMS)
        Coefficients, like `energies` zero at the cutoff and symmetric in the two atoms of a pair.
    site : Tensor, shape (n_atoms, N_SITE)
    spins : Tensor, shape (n_atoms, 3), muB
    """

    def __init__(self, pairs: Pairs, energies: Tensor, sums: Tensor, site: Tensor, spins: Tensor) -> None:
        self._pairs, self._spins = pairs, spins
        self._dipolar, self._two_ion, self._d, self._e = energies.split([1, _N, _N, _N], 1)
        v, q = sums.split(_N, 1)
        self._single, self._mixing = site.split(_N, 1)
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
        from_q = torch.einsum("nkab,nb->nka", q_one - q_other, r)
        polar = self._d.unsqueeze(2) * (self._v[first] + self._v[second]) + self._e.unsqueeze(2) * from_q
        axial = torch.linalg.cross(r, polar.sum(1))
        antisymmetric = (axial * torch.linalg.cross(one, other)).sum(1)
        energy: Tensor = dipolar + two_ion + antisymmetric
        return energy.unsqueeze(1)

    def moments(self) -> Tensor:
        """Contribution of anisotropy to the moments, shape (n_atoms, 3), muB."""
        added: Tensor = torch.einsum("nk,nkab,nb->na", self._mixing, self._q, self._spins)
        return added
