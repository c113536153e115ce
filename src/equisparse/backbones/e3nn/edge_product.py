"""Tensor product on an edge, with its sums in a cheaper order.

A path multiplies features x (channels u, components i) by spherical harmonics y (components j) and Clebsch-Gordan
coefficients C, and each channel by its own weight: ``z_uk = w_u sum_ij C_ijk x_ui y_j``. Contracting C with y first
leaves one small matrix per edge, and one matrix product per input irrep for all its paths.
"""

from typing import Any

import torch
from torch import Tensor, nn

from equisparse.backbones.e3nn.fused import EdgePath, FusedConvolution
from equisparse.backbones.e3nn.fx_graphs import split


class EdgeProduct(nn.Module):
    """Module that computes the same function as an e3nn TensorProduct for which `fits` is true.

    Parameters
    ----------
    product : TensorProduct
        The product to replace. Its coefficients are read off its outputs, which keeps its conventions and rounding.
    """

    coefficients: Tensor
    compiled: bool = False
    """Whether `equisparse.backbones.e3nn.convolution.convolve` uses the compiled loops of `fused`."""

    def __init__(self, product: Any) -> None:
        super().__init__()
        paths = product.instructions
        self._inputs = [(part.mul, part.ir.dim) for part in product.irreps_in1]
        self._channels = [product.irreps_in1[path.i_in1].mul for path in paths]
        self._order = sorted(range(len(paths)), key=lambda index: paths[index].i_out)
        self._paths = [
            [index for index, path in enumerate(paths) if path.i_in1 == i_in] for i_in in range(len(self._inputs))
        ]
        components = [product.irreps_out[path.i_out].ir.dim for path in paths]
        self._components = [[components[index] for index in indices] for indices in self._paths]
        matrices = _coefficients(product)
        joined = [
            torch.cat([matrices[index] for index in indices], -1).flatten(1) for indices in self._paths if indices
        ]
        self._columns = [
            size * sum(sizes) for (_, size), sizes in zip(self._inputs, self._components, strict=True) if sizes
        ]
        self.register_buffer("coefficients", torch.cat(joined, 1), persistent=False)
        sizes = zip(paths, self._channels, components, strict=True)
        edge_paths = [EdgePath(path.i_in1, channels, size) for path, channels, size in sizes]
        self.fused = FusedConvolution(self._inputs, edge_paths, self._order)
        self.sizes = (product.irreps_in1.dim, product.irreps_in2.dim, product.weight_numel, product.irreps_out.dim)
        """Lengths of a row of features, harmonics, weights and outputs."""

    def forward(self, features: Tensor, harmonics: Tensor, weights: Tensor) -> list[Tensor]:
        """Compute the product on each edge, path by path.

        Parameters
        ----------
        features : Tensor, shape (n_edges, dimension of the first irreps)
        harmonics : Tensor, shape (n_edges, dimension of the second irreps)
        weights : Tensor, shape (n_edges, number of weights)

        Returns
        -------
        list of Tensor, each of shape (n_edges, dimension of one output irrep)
            In the order of the output irreps.
        """
        n_edges = len(features)
        scales = split(weights, self._channels)
        inputs = split(features, [channels * size for channels, size in self._inputs])
        matrices = iter(split(harmonics @ self.coefficients, self._columns))
        outputs: dict[int, Tensor] = {}
        for i_in, (channels, size) in enumerate(self._inputs):
            if not self._paths[i_in]:  # an irrep that no path uses
                continue
            matrix = next(matrices).reshape(n_edges, size, sum(self._components[i_in]))  # no -1: n_edges may be 0
            mixed = torch.bmm(inputs[i_in].reshape(n_edges, channels, size), matrix)
            for path, output in zip(self._paths[i_in], split(mixed, self._components[i_in]), strict=True):
                outputs[path] = (output * scales[path].unsqueeze(-1)).flatten(1)
        return [outputs[path] for path in self._order]


def fits(product: Any) -> bool:
    """Return whether a TensorProduct has weights per edge and channel, harmonics of one channel, an output per path."""
    paths = product.instructions
    return (
        not product.internal_weights
        and not product.shared_weights
        and all(part.mul == 1 for part in product.irreps_in2)
        and all(path.connection_mode == "uvu" and path.has_weight for path in paths)
        and sorted(path.i_out for path in paths) == list(range(len(product.irreps_out)))
    )


@torch.no_grad()
def _coefficients(product: Any) -> list[Tensor]:
    """Coefficients of each path, shape (dimension of all harmonics, of its input irrep, of its output irrep).

    The product is linear in each of its arguments, so its values on unit vectors are its coefficients.
    """
    first, second, out = product.irreps_in1, product.irreps_in2, product.irreps_out
    example = next(value for value in product.buffers() if value.is_floating_point() and value.numel())
    weights = example.new_ones(1, product.weight_numel)
    harmonics = torch.eye(second.dim).to(example)
    matrices: list[Tensor] = []
    for path in product.instructions:
        size, start = first[path.i_in1].ir.dim, first.slices()[path.i_in1].start
        stop = out.slices()[path.i_out].start
        features = example.new_zeros(size, first.dim)
        features[:, start : start + size] = torch.eye(size).to(example)
        values = product(
            features.repeat_interleave(second.dim, 0),
            harmonics.repeat(size, 1),
            weights.expand(size * second.dim, -1),
        )[:, stop : stop + out[path.i_out].ir.dim]
        matrices.append(values.reshape(size, second.dim, -1).transpose(0, 1).contiguous())
    return matrices
