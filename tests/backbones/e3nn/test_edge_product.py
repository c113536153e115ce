"""The product on an edge in the cheaper order gives what e3nn gives, on batches without edges too."""

import pytest
import torch
from e3nn import o3

from equisparse.backbones.e3nn.edge_product import EdgeProduct, fits


@pytest.mark.parametrize("n_edges", [0, 1, 5])
def test_values_and_gradients(n_edges):
    features, harmonics = o3.Irreps("3x0e+2x1o"), o3.Irreps("1x0e+1x1o")
    paths = [(0, 0, 0, "uvu", True), (1, 0, 1, "uvu", True), (0, 1, 2, "uvu", True), (1, 1, 3, "uvu", True)]
    outputs = o3.Irreps("3x0e+2x1o+3x1o+2x0e")
    product = o3.TensorProduct(
        features, harmonics, outputs, paths, internal_weights=False, shared_weights=False
    ).double()
    assert fits(product)
    generator = torch.Generator().manual_seed(0)
    inputs = [
        torch.randn(n_edges, size, generator=generator, dtype=torch.float64, requires_grad=True)
        for size in (features.dim, harmonics.dim, product.weight_numel)
    ]
    expected, found = product(*inputs), torch.cat(EdgeProduct(product)(*inputs), 1)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(value.square().sum(), inputs) for value in (expected, found)]
    torch.testing.assert_close(gradients[1], gradients[0])
