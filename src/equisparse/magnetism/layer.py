"""The spin layer: magnetic energies and moments from the final features of a backbone and one input spin per atom.

With h the invariant features of the last layer, s the input spins, and d = s_i . s_j of a pair of neighbours::

    E = sum_i a_i |s_i|^2  +  sum_pairs (J_ij d + K_ij d^2)  [+ terms of spin-orbit coupling]
    m_i = f_i s_i + sum_k c_ki sum_j g_kij s_j               [+ one term of spin-orbit coupling]

J (exchange), K (biquadratic exchange) and g are the same for (i, j) and (j, i), depend on both atoms' features and
their distance, and go to zero with two derivatives at the cutoff. The on-site a_i, f_i and c_i depend on h_i, on
|s_i|^2 - so that magnitudes have a meaning, as in a Landau expansion - and on sums of t_ij d over the neighbours,
which is where interactions of more than two spins are. E is even and m odd in the spins, and both depend on them by
their scalar products, so time reversal and spin rotations hold by construction. Without spins E is zero.

Where directions alone are inputs, energies are those of an order against the ferromagnetic one: d becomes d - d_F and
d^2 becomes d^2 - d_F^2, with d_F the product of the lengths, and the on-site term is sum_k a_ki (t_ki - t_F,ki) |s_i|^2
with t the sums over neighbours. A length that is the same in all frames could say nothing else, and its energy would
only compete with the backbone's own; so a ferromagnet has the backbone's energy, which the delta learns.
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
"""Kinds of sums over neighbours: of scalar products, and of spins."""
_N_SIZES = 3
"""Functions of the magnitude of a spin that features are mixed with."""
_PAIR_ENERGIES = 3
"""Outputs of a pair that are energies, and come first: exchange, biquadratic exchange, and those of `SpinOrbit`."""
_N_ATOMS = 119
_EXCHANGE, _ONSITE, _NEIGHBOURS, _OWN = 0.03, 0.05, 0.05, 0.3
"""Natural sizes of what the outputs stand for, so that one learning rate suits all: energies of pairs, of which an atom
has tens, and of sites, eV/muB^2; sums over neighbours; changes of moments."""


class SpinLayer(nn.Module):
    """Magnetic energy of each frame, and the moment of each atom.

    At its start the energy is zero and the moments are the input spins.

    Parameters
    ----------
    options : SpinOptions
    seed : int
        Of the weights' start; the global generator is not touched.
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
        """Energies and moments.

        Parameters
        ----------
        features : FinalFeatures
        spins : Tensor, shape (n_atoms, 3), muB
            As given; see `SpinOptions.input`.

        Returns
        -------
        energy : Tensor, shape (n_frames,), eV
        moments : Tensor, shape (n_atoms, 3), muB
        """
        spins = self.prepared(spins, features.numbers)
        size = spins.square().sum(1, keepdim=True)
        wanted = None if self.options.spin_orbit else size.detach().squeeze(1) > 0
        pairs = pairs_of(features.edges, features.vectors, self.options.cutoff, wanted)
        nodes = F.silu(self.node_in(torch.asinh(features.scalars)) + self.size_in(_sizes(size)))
        exchange, biquadratic, tensors, mixing, induction, tensor_sums = self._pair_coefficients(nodes, pairs)

        one, other = spins[pairs.first], spins[pairs.second]
        product = (one * other).sum(1, keepdim=True)
        aligned = self._aligned(size, pairs)
        sums, sums_aligned = (_scattered(pairs, d * mixing, d * mixing, len(spins)) for d in (product, aligned))
        site = self.site_out(F.silu(self.site_node(nodes) + self.site_sums(sums)))
        onsite, own, induced, tied = site.split(self._node_sizes, 1)
        onsite, own, tied = _ONSITE * onsite, _OWN * own, _ONSITE * tied

        neighbours = _scattered(pairs, _outer(induction, other), _outer(induction, one), len(spins))
        moments = (1 + own) * spins + (induced.unsqueeze(2) * neighbours.view(len(spins), _N_MIXED, 3)).sum(1)
        excess = sums - sums_aligned if self.options.input == "order" else 1.0
        site_energy = (onsite * excess).sum(1, keepdim=True) * size
        pair_energy = exchange * (product - aligned) + biquadratic * (product.square() - aligned.square())
        if self.options.spin_orbit:
            coupled = SpinOrbit(pairs, tensors, tensor_sums, tied, spins)
            site_energy, pair_energy = site_energy + coupled.site_energy(), pair_energy + coupled.pair_energy()
            moments = moments + coupled.moments()
        energy = features.vectors.new_zeros(features.n_frames)
        energy = energy.index_add(0, features.frames, site_energy.squeeze(1))
        return energy.index_add(0, features.frames[pairs.first], pair_energy.squeeze(1)), moments

    def prepared(self, spins: Tensor, numbers: Tensor) -> Tensor:
        """Spins as the layer uses them, shape (n_atoms, 3), muB: as given, or of their elements' lengths."""
        if self.options.input == "given":
            return spins
        length = self.scales[numbers].unsqueeze(1)
        there = (spins.detach() != 0).any(1, keepdim=True)
        norm = torch.linalg.vector_norm(torch.where(there, spins, torch.ones_like(spins)), dim=1, keepdim=True)
        return torch.where(there, spins / norm, torch.zeros_like(spins)) * length

    def _aligned(self, size: Tensor, pairs: Pairs) -> Tensor:
        """What scalar products are taken against, shape (n_pairs, 1), muB^2: the product of the lengths, or 0."""
        if self.options.input == "given":
            return size.new_zeros(len(pairs.first), 1)
        length = size.detach().sqrt()
        return length[pairs.first] * length[pairs.second]

    def stored(self) -> dict[str, Tensor]:
        """All parameters by name, detached, on the CPU."""
        return {name: parameter.detach().cpu().clone() for name, parameter in self.named_parameters()}

    @classmethod
    def restored(cls, options: Mapping[str, object], tensors: Mapping[str, Tensor]) -> "SpinLayer":
        """Layer of what `SpinOptions.to_dict` and `stored` gave; neither is believed.

        Raises
        ------
        AdapterError
            If they do not fit.
        """
        chosen = SpinOptions.from_dict(options)
        with torch.device("meta"):  # shapes alone: a wrong file is not to fill the memory
            shapes = {name: tuple(value.shape) for name, value in cls(chosen).named_parameters()}
        given = {name: tuple(value.shape) for name, value in tensors.items()}
        if shapes != given:
            wrong = sorted(name for name in shapes.keys() | given.keys() if shapes.get(name) != given.get(name))
            raise AdapterError(
                "The spin layer of the adapter does not fit its options.",
                given=", ".join(f"{name} {given.get(name, 'missing')}" for name in wrong)[:200],
                cause="a damaged file",
            )
        layer = cls(chosen).to(next(iter(tensors.values())).dtype)
        layer.load_state_dict(dict(tensors))
        return layer.requires_grad_(False)

    def _pair_coefficients(self, nodes: Tensor, pairs: Pairs) -> tuple[Tensor, ...]:
        """Coefficients of all pairs, in the order of `_pair_sizes`, zero at the cutoff."""
        to_pairs = self.pair_node(nodes)
        hidden = F.silu(to_pairs[pairs.first] + to_pairs[pairs.second] + self.pair_radial(pairs.radial))
        found: Tensor = self.pair_out(F.silu(self.pair_hidden(hidden))) * pairs.envelope
        n_energies = sum(self._pair_sizes[:_PAIR_ENERGIES])
        sizes = [_EXCHANGE] * n_energies + [_NEIGHBOURS] * (found.shape[1] - n_energies)
        return tuple((found * found.new_tensor(sizes)).split(self._pair_sizes, 1))

    @torch.no_grad()
    def _start_at_zero(self) -> None:
        """Let all energies start at zero and all moments at the spins; sums over neighbours start at random."""
        energies = self.pair_out.weight[: sum(self._pair_sizes[:_PAIR_ENERGIES])]
        for weight in (energies, self.site_out.weight, self.pair_out.bias, self.site_out.bias):
            weight.zero_()


def _sizes(size: Tensor) -> Tensor:
    """Bounded functions of |s|^2, shape (n_atoms, _N_SIZES), zero without a spin."""
    return torch.cat([size / (size + scale**2) for scale in (0.5, 1.5, 4.0)], 1)


def _outer(coefficients: Tensor, spins: Tensor) -> Tensor:
    """Spins times each coefficient, shape (n_pairs, n_coefficients * 3)."""
    return (coefficients.unsqueeze(2) * spins.unsqueeze(1)).flatten(1)


def _scattered(pairs: Pairs, to_first: Tensor, to_second: Tensor, n_atoms: int) -> Tensor:
    """Sums over pairs at both of their atoms, shape (n_atoms, columns)."""
    sums = to_first.new_zeros(n_atoms, to_first.shape[1]).index_add(0, pairs.first, to_first)
    return sums.index_add(0, pairs.second, to_second)
