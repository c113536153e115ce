"""The network of Nequix in plain e3nn, after nequix 0.4.5, which needs JAX to be imported (MIT licence, see README).

Names of parameters are those of nequix's own model for torch. Nequix: arXiv 2508.16067.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import e3nn
import numpy as np
import torch
from e3nn.o3 import Irreps, Linear, TensorProduct, spherical_harmonics
from scipy.special import erfinv
from torch import Tensor, nn

from equisparse_nequix.architecture import Architecture, rank, regrouped

_EPSILON = 1e-12
"""Added to mean squares before the root."""


def _silu_scale() -> float:
    """Root mean square of SiLU over a standard normal variable, on the quantiles that e3nn_jax uses."""
    quantiles = math.sqrt(2) * erfinv(np.linspace(-1.0, 1.0, 1_000_003)[1:-1])
    return float(np.sqrt(np.mean((quantiles / (1 + np.exp(-quantiles))) ** 2)))


SILU_SCALE = _silu_scale()
"""The activations of the gate are divided by it, so that they keep the size of their inputs."""


class NequixNetwork(nn.Module):
    """Energies of atoms as a function of the vectors to their neighbours.

    Parameters
    ----------
    architecture : Architecture
    """

    atom_energies: Tensor
    frequencies: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        own = architecture
        self.n_species, self.lmax, self.cutoff = len(own.atomic_numbers), own.lmax, own.cutoff
        self.radial_polynomial_p, self.scale, self.shift = own.radial_polynomial_p, own.scale, own.shift
        self.register_buffer("atom_energies", torch.zeros(self.n_species))
        self.register_buffer("frequencies", math.pi * torch.arange(1.0, own.radial_basis_size + 1), persistent=False)
        scalars, inputs = own.hidden_irreps.filter(keep=["0e"]), Irreps(f"{self.n_species}x0e")
        between = [inputs, *[own.hidden_irreps] * (own.n_layers - 1), scalars]
        with _plain_graphs():
            self.layers = nn.ModuleList(
                Convolution(source, target, architecture) for source, target in pairwise(between)
            )
            self.readout = Linear(scalars, "1x0e")

    def features(self, species: Tensor, vectors: Tensor, senders: Tensor, receivers: Tensor) -> Tensor:
        """Compute the invariant features of the last layer.

        Parameters
        ----------
        species : Tensor, shape (n_atoms,), int64
            Index of the element of each atom.
        vectors : Tensor, shape (n_edges, 3), Angstrom
            From the receiver of an edge to its sender.
        senders, receivers : Tensor, shape (n_edges,), int64

        Returns
        -------
        Tensor, shape (n_atoms, n_scalars)
        """
        features = nn.functional.one_hot(species, self.n_species).to(vectors.dtype)
        radial = self._radial_basis(torch.linalg.vector_norm(vectors, dim=-1, keepdim=True))
        degrees = list(range(self.lmax + 1))
        harmonics = spherical_harmonics(degrees, vectors, normalize=True, normalization="component")
        for layer in self.layers:
            features = layer(features, harmonics, radial, senders, receivers)
        return features

    def energies(self, features: Tensor, species: Tensor) -> Tensor:
        """Energies of atoms from the features of the last layer, shape (n_atoms,), eV."""
        outputs: Tensor = self.readout(features).squeeze(-1)
        return outputs * self.scale + self.shift + self.atom_energies[species]

    def _radial_basis(self, distances: Tensor) -> Tensor:
        """Bessel functions times the smooth cutoff, shape (n_edges, radial_basis_size), of distances (n_edges, 1)."""
        waves = 2 / self.cutoff * torch.sin(self.frequencies * distances / self.cutoff) / distances
        x, p = distances / self.cutoff, self.radial_polynomial_p
        inside = (
            1
            - (p + 1) * (p + 2) / 2 * torch.pow(x, p)
            + p * (p + 2) * torch.pow(x, p + 1)
            - p * (p + 1) / 2 * torch.pow(x, p + 2)
        )
        return waves * torch.where(x < 1, inside, 0.0)


class Convolution(nn.Module):
    """One interaction layer.

    Parameters
    ----------
    inputs, outputs : Irreps
        Features before and after the layer.
    architecture : Architecture
    """

    def __init__(self, inputs: Irreps, outputs: Irreps, architecture: Architecture) -> None:
        super().__init__()
        own = architecture
        gates = outputs.num_irreps - outputs.count("0e")
        gated = regrouped(outputs + Irreps(f"{gates}x0e")) if gates else outputs
        product = edge_product(inputs, Irreps.spherical_harmonics(own.lmax), outputs)
        sizes = [own.radial_basis_size, *[own.radial_mlp_size] * own.radial_mlp_layers, product.weight_numel]
        self.divisor = math.sqrt(own.avg_n_neighbors)
        self.radial_mlp = RadialNetwork(sizes)
        self.linear_1 = Linear(inputs, inputs)
        self.messages = Messages(product)
        self.linear_2 = Linear(regrouped(product.irreps_out), gated)
        self.skip = Linear(inputs, gated)
        self.layer_norm = LayerNorm(gated) if own.layer_norm else None
        self.gate = Gate(gated, gates)

    def forward(
        self, features: Tensor, harmonics: Tensor, radial: Tensor, senders: Tensor, receivers: Tensor
    ) -> Tensor:
        """Compute the features after the layer, shape (n_atoms, dimension of the outputs)."""
        weights = self.radial_mlp(radial)
        messages = self.messages(self.linear_1(features), harmonics, weights, source=senders, target=receivers)
        mixed = self.linear_2(messages / self.divisor) + self.skip(features)
        return self.gate(mixed if self.layer_norm is None else self.layer_norm(mixed))  # type: ignore[no-any-return]


class Messages(nn.Module):
    """Sum over the edges of an atom of the products of features and spherical harmonics.

    Parameters
    ----------
    product : TensorProduct
    """

    def __init__(self, product: TensorProduct) -> None:
        super().__init__()
        self.product = product

    def forward(
        self, features: Tensor, harmonics: Tensor, weights: Tensor, *, source: Tensor, target: Tensor
    ) -> Tensor:
        """Sum the messages of each atom, shape (n_atoms, dimension of the output irreps)."""
        messages: Tensor = self.product(features.index_select(0, source), harmonics, weights)
        return messages.new_zeros(len(features), messages.shape[1]).index_add(0, target, messages)


class RadialNetwork(nn.Module):
    """Weights of an edge as a function of the radial basis: linear layers without biases, SiLU between them.

    Parameters
    ----------
    sizes : list of int
        Numbers of channels, inputs first.
    """

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Matrix(*pair) for pair in pairwise(sizes))

    def forward(self, radial: Tensor) -> Tensor:
        """Compute the weights, shape (n_edges, n_weights)."""
        for layer in list(self.layers)[:-1]:
            radial = nn.functional.silu(layer(radial))
        return self.layers[-1](radial)  # type: ignore[no-any-return]


class Matrix(nn.Module):
    """Product with a matrix of weights (inputs, outputs).

    Parameters
    ----------
    n_in, n_out : int
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(n_in, n_out) / math.sqrt(n_in))

    def forward(self, values: Tensor) -> Tensor:
        """Multiply values of shape (n, n_in)."""
        return values @ self.weights


class LayerNorm(nn.Module):
    """Features divided by a root mean square, times one weight per channel.

    The mean is over irreps and components, and components are divided by their number once more; channels are summed.
    So does nequix, and its weights are trained for it.

    Parameters
    ----------
    irreps : Irreps
    """

    shares: Tensor

    def __init__(self, irreps: Irreps) -> None:
        super().__init__()
        self._components = [part.ir.dim for part in irreps]
        shares = [torch.full((part.dim,), 1 / (part.ir.dim**2 * len(irreps))) for part in irreps]
        self.register_buffer("shares", torch.cat(shares), persistent=False)
        self.affine_weight = nn.ParameterList(nn.Parameter(torch.ones(part.mul)) for part in irreps)

    def forward(self, features: Tensor) -> Tensor:
        """Normalise features of shape (n_atoms, dimension of the irreps)."""
        mean_square = features.square() @ self.shares
        pairs = zip(self.affine_weight, self._components, strict=True)
        weights = torch.cat([weight.repeat_interleave(components) for weight, components in pairs])
        return features * weights * (mean_square + _EPSILON).pow(-0.5).unsqueeze(-1)


class Gate(nn.Module):
    """SiLU of scalars; the last ones multiply the channels of all other irreps.

    Parameters
    ----------
    irreps : Irreps
        Scalars first.
    n_gates : int
        Number of channels that are no scalars.
    """

    def __init__(self, irreps: Irreps, n_gates: int) -> None:
        super().__init__()
        others = [part for part in irreps if part.ir.l > 0 or part.ir.p < 0]
        self._sizes = [irreps.dim - sum(part.dim for part in others) - n_gates, n_gates]
        self._channels = [part.mul for part in others]
        self._dimensions = [part.dim for part in others]

    def forward(self, features: Tensor) -> Tensor:
        """Compute the gated features, shape (n_atoms, dimension without the gates)."""
        n_scalars = sum(self._sizes)
        scalars, *others = features.split([n_scalars, *self._dimensions], -1)
        kept, gates = (nn.functional.silu(scalars) / SILU_SCALE).split(self._sizes, -1)
        factors = gates.split(self._channels, -1) if others else ()
        gated = [_scaled(values, factor) for values, factor in zip(others, factors, strict=True)]
        return torch.cat([kept, *gated], -1)


def edge_product(inputs: Irreps, harmonics: Irreps, outputs: Irreps) -> TensorProduct:
    """Product of features and spherical harmonics, with one weight per edge and channel, in the order of nequix.

    Parameters
    ----------
    inputs, harmonics : Irreps
    outputs : Irreps
        Only paths to its irreps are kept.
    """
    paths = [
        (part.mul, out, i, j)
        for i, part in enumerate(inputs)
        for j, harmonic in enumerate(harmonics)
        for out in part.ir * harmonic.ir
        if out in outputs
    ]
    paths.sort(key=lambda path: rank(path[1]))
    instructions = [(i, j, index, "uvu", True) for index, (_, _, i, j) in enumerate(paths)]
    found = Irreps([(mul, out) for mul, out, _, _ in paths])
    return TensorProduct(inputs, harmonics, found, instructions, internal_weights=False, shared_weights=False)


def _scaled(values: Tensor, factors: Tensor) -> Tensor:
    """Features (n_atoms, channels * components), each channel times its factor (n_atoms, channels)."""
    n_atoms, channels = factors.shape
    return (values.reshape(n_atoms, channels, values.shape[1] // channels) * factors.unsqueeze(-1)).flatten(1)


@contextmanager
def _plain_graphs() -> Iterator[None]:
    """Let e3nn leave the graphs that it generates as they are, instead of compiling them with TorchScript."""
    before = dict(e3nn.get_optimization_defaults())
    e3nn.set_optimization_defaults(jit_script_fx=False)
    try:
        yield
    finally:
        e3nn.set_optimization_defaults(**before)
