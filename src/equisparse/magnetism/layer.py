"""Spin layer: magnetic energies and moments from the final features of a backbone and one input spin per atom.

With h the invariant features of the last layer, s the input spins, and d = s_i . s_j of a pair of neighbours::

    E = sum_i a_i |s_i|^2  +  sum_pairs (J_ij d + K_ij d^2)  [+ terms of spin-orbit coupling]
    m_i = f_i s_i + sum_k c_ki sum_j g_kij s_j               [+ one term of spin-orbit coupling]

J (exchange), K (biquadratic exchange) and g are the same for (i, j) and (j, i), depend on the features of both atoms
and on their distance, and go to zero at the cutoff with two derivatives. The on-site a_i, f_i and c_i depend on h_i, on
|s_i|^2 (a Landau expansion in the magnitude) and on sums of t_ij d over the neighbours, which describe interactions of
more than two spins. E is even and m is odd in the spins, and both depend on scalar products of spins only: invariance
under time reversal and spin rotations holds by construction. Without spins E is zero.

Where only directions are inputs, E is the energy relative to the ferromagnetic order: d becomes d - d_F and d^2 becomes
d^2 - d_F^2, with d_F the product of the lengths, and the on-site term is sum_k a_ki (t_ki - t_F,ki) |s_i|^2 with t the
sums over neighbours. The lengths are equal in all frames, so an energy that depends on them would only compete with the
backbone's own. A ferromagnet therefore has the backbone's energy, which the weight delta learns.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equisparse.backbones.prediction import FinalFeatures
from equisparse.errors import AdapterError
from equisparse.magnetism.options import SpinOptions
from equisparse.magnetism.pairs import N_RADIAL, Pairs, pairs_of
from equisparse.magnetism.spin_orbit import N_PAIR_ENERGIES, N_PAIR_SUMS, N_SITE, SpinOrbit

_N_MIXED = 4
"""Number of sums over neighbours of each kind: of scalar products, and of spins."""
_N_SIZES = 3
"""Number of functions of the magnitude of a spin that are inputs."""
_PAIR_ENERGIES = 3
"""Groups of outputs of a pair that are energies; they come first: exchange, biquadratic exchange, `SpinOrbit`."""
_N_ATOMS = 119
_EXCHANGE, _ONSITE, _NEIGHBOURS, _OWN = 0.03, 0.05, 0.05, 0.3
"""Typical sizes of the outputs, so that one learning rate suits all: energies of pairs (an atom has tens of them) and
of sites, eV/muB^2; sums over neighbours; changes of moments."""


class SpinLayer(nn.Module):
    """Network for the magnetic energy of each frame and the magnetic moment of each atom.

    Untrained, its energy is zero and its moments are the input spins.

    Parameters
    ----------
    options : SpinOptions
    seed : int
        Seed of the initial weights; the global generator keeps its state.
    """

    scales: Tensor

    def __init__(self, options: SpinOptions, *, seed: int = 0) -> None:
        super().__init__()
        self.options, width = options, options.channels
        extra = (N_PAIR_ENERGIES, N_PAIR_SUMS, N_SITE) if options.spin_orbit else (0, 0, 0)
        self._pair_sizes = [1, 1, extra[0], _N_MIXED, _N_MIXED, extra[1]]
        self._node_sizes = [_N_MIXED if options.input == "order" else 1, 1, _N_MIXED, extra[2]]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.node_in = nn.Linear(options.scalars, width)
            self.size_in = nn.Linear(_N_SIZES, width, bias=False)
            self.pair_node = nn.Linear(width, width)
            self.pair_radial = nn.Linear(N_RADIAL, width, bias=False)
            self.pair_hidden = nn.Linear(width, width)
            self.pair_out = nn.Linear(width, sum(self._pair_sizes))
            self.site_node = nn.Linear(width, width)
            self.site_sums = nn.Linear(_N_MIXED, width, bias=False)
            self.site_out = nn.Linear(width, sum(self._node_sizes))
        self._start_at_zero()
        table = torch.zeros(_N_ATOMS)
        for z, scale in options.scales.items():
            table[z] = scale
        self.register_buffer("scales", table, persistent=False)

    @property
    def n_parameters(self) -> int:
        """Number of trainable values."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, features: FinalFeatures, spins: Tensor) -> tuple[Tensor, Tensor]:
        """Compute energies and moments.

        Parameters
        ----------
        features : FinalFeatures
        spins : Tensor, shape (n_atoms, 3), muB
            Input spins; `SpinOptions.input` says how they are used.

        Returns
        -------
        energy : Tensor, shape (n_frames,), eV
        moments : Tensor, shape (n_atoms, 3), muB
        """
        spins = self.prepared(spins, features.numbers)
        size = spins.square().sum(1, keepdim=True)
        with_spin = None if self.options.spin_orbit else size.detach().squeeze(1) > 0
        pairs = pairs_of(features.edges, features.vectors, self.options.cutoff, with_spin)
        nodes = F.silu(self.node_in(torch.asinh(features.scalars)) + self.size_in(_sizes(size)))
        exchange, biquadratic, tensors, mixing, induction, tensor_sums = self._pair_coefficients(nodes, pairs)

        one, other = spins[pairs.first], spins[pairs.second]
        product = (one * other).sum(1, keepdim=True)
        aligned = self._aligned(size, pairs)
        sums, sums_aligned = (_scattered(pairs, d * mixing, d * mixing, len(spins)) for d in (product, aligned))
        site = self.site_out(F.silu(self.site_node(nodes) + self.site_sums(sums)))
        onsite, own, induced, anisotropy = site.split(self._node_sizes, 1)
        onsite, own, anisotropy = _ONSITE * onsite, _OWN * own, _ONSITE * anisotropy

        neighbours = _scattered(pairs, _outer(induction, other), _outer(induction, one), len(spins))
        moments = (1 + own) * spins + (induced.unsqueeze(2) * neighbours.view(len(spins), _N_MIXED, 3)).sum(1)
        excess = sums - sums_aligned if self.options.input == "order" else 1.0
        site_energy = (onsite * excess).sum(1, keepdim=True) * size
        pair_energy = exchange * (product - aligned) + biquadratic * (product.square() - aligned.square())
        if self.options.spin_orbit:
            coupled = SpinOrbit(pairs, tensors, tensor_sums, anisotropy, spins)
            site_energy, pair_energy = site_energy + coupled.site_energy(), pair_energy + coupled.pair_energy()
            moments = moments + coupled.moments()
        energy = features.vectors.new_zeros(features.n_frames)
        energy = energy.index_add(0, features.frames, site_energy.squeeze(1))
        return energy.index_add(0, features.frames[pairs.first], pair_energy.squeeze(1)), moments

    def prepared(self, spins: Tensor, numbers: Tensor) -> Tensor:
        """Spins as the layer uses them, shape (n_atoms, 3), muB: as given, or with the length of their element."""
        if self.options.input == "given":
            return spins
        length = self.scales[numbers].unsqueeze(1)
        has_spin = (spins.detach() != 0).any(1, keepdim=True)
        norm = torch.linalg.vector_norm(torch.where(has_spin, spins, torch.ones_like(spins)), dim=1, keepdim=True)
        return torch.where(has_spin, spins / norm, torch.zeros_like(spins)) * length

    def _aligned(self, size: Tensor, pairs: Pairs) -> Tensor:
        """Scalar products of the reference order, shape (n_pairs, 1), muB^2: products of the lengths, or zeros."""
        if self.options.input == "given":
            return size.new_zeros(len(pairs.first), 1)
        length = size.detach().sqrt()
        return length[pairs.first] * length[pairs.second]

    def stored(self) -> dict[str, Tensor]:
        """Copies of all parameters by name, detached, on the CPU."""
        return {name: parameter.detach().cpu().clone() for name, parameter in self.named_parameters()}

    @classmethod
    def restored(cls, options: Mapping[str, object], tensors: Mapping[str, Tensor]) -> "SpinLayer":
        """Layer from the values of `SpinOptions.to_dict` and `stored`; both are untrusted input and are validated.

        Raises
        ------
        AdapterError
            If the options are invalid, or the tensors do not have the shapes that they ask for.
        """
        chosen = SpinOptions.from_dict(options)
        with torch.device("meta"):  # shapes only: a wrong file must not fill the memory
            shapes = {name: tuple(value.shape) for name, value in cls(chosen).named_parameters()}
        given = {name: tuple(value.shape) for name, value in tensors.items()}
        if shapes != given:
            wrong = sorted(name for name in shapes.keys() | given.keys() if shapes.get(name) != given.get(name))
            raise AdapterError(
                "The spin layer of the adapter does not fit its options.",
                given=", ".join(f"{name} {given.get(name, 'missing')}" for name in wrong)[:200],
                expected=", ".join(f"{name} {shapes.get(name, 'not there')}" for name in wrong)[:200],
                cause="a damaged file",
            )
        layer = cls(chosen).to(next(iter(tensors.values())).dtype)
        layer.load_state_dict(dict(tensors))
        return layer.requires_grad_(False)

    def _pair_coefficients(self, nodes: Tensor, pairs: Pairs) -> tuple[Tensor, ...]:
        """Coefficients of all pairs, in the groups of `_pair_sizes`; zero at the cutoff."""
        to_pairs = self.pair_node(nodes)
        hidden = F.silu(to_pairs[pairs.first] + to_pairs[pairs.second] + self.pair_radial(pairs.radial))
        outputs: Tensor = self.pair_out(F.silu(self.pair_hidden(hidden))) * pairs.envelope
        n_energies = sum(self._pair_sizes[:_PAIR_ENERGIES])
        sizes = [_EXCHANGE] * n_energies + [_NEIGHBOURS] * (outputs.shape[1] - n_energies)
        return tuple((outputs * outputs.new_tensor(sizes)).split(self._pair_sizes, 1))

    @torch.no_grad()
    def _start_at_zero(self) -> None:
        """Set the weights so that energies are zero and moments are the spins; sums over neighbours stay random."""
        energies = self.pair_out.weight[: sum(self._pair_sizes[:_PAIR_ENERGIES])]
        for weight in (energies, self.site_out.weight, self.pair_out.bias, self.site_out.bias):
            weight.zero_()


def _sizes(size: Tensor) -> Tensor:
    """Bounded functions of |s|^2, shape (n_atoms, _N_SIZES), zero without a spin."""
    return torch.cat([size / (size + scale**2) for scale in (0.5, 1.5, 4.0)], 1)


def _outer(coefficients: Tensor, spins: Tensor) -> Tensor:
    """Products of each coefficient with the spins, shape (n_pairs, n_coefficients * 3)."""
    return (coefficients.unsqueeze(2) * spins.unsqueeze(1)).flatten(1)


def _scattered(pairs: Pairs, to_first: Tensor, to_second: Tensor, n_atoms: int) -> Tensor:
    """Sums over pairs at both of their atoms, shape (n_atoms, columns)."""
    sums = to_first.new_zeros(n_atoms, to_first.shape[1]).index_add(0, pairs.first, to_first)
    return sums.index_add(0, pairs.second, to_second)
