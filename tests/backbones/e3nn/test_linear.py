"""Methods on a real e3nn Linear: the reading of its flat weight, and equivariance after any change."""

import pytest
import torch
from e3nn import o3

from equisparse.adapters.attach import attach
from equisparse.blocks import Layout, matrix_blocks
from equisparse.methods.base import AbstractMethod
from equisparse.methods.mmea import MMEA
from equisparse.methods.scale import Scale
from equisparse.methods.soft_threshold import SoftThreshold
from equisparse.methods.sparse import Sparse

IRREPS_IN, IRREPS_OUT = o3.Irreps("3x0e+2x0o+4x1o+2x1e+3x2e"), o3.Irreps("2x0e+5x1o+1x1e+2x2e+1x0o")


def layout_of(linear: o3.Linear) -> Layout:
    """As a backbone would make it."""
    outputs = [IRREPS_OUT[i.i_out].ir for i in linear.instructions]
    inputs = [IRREPS_IN[i.i_in].ir for i in linear.instructions]
    parts = [
        (f"{first}->{last}", last.l, last.p, i.path_shape)
        for first, last, i in zip(inputs, outputs, linear.instructions, strict=True)
    ]
    return Layout(matrix_blocks("weight", parts, "linear", 0), {"weight": tuple(linear.weight.shape)}, 100)


def test_blocks_are_the_views_of_e3nn():
    linear = o3.Linear(IRREPS_IN, IRREPS_OUT)
    blocks = layout_of(linear).of("weight")
    for number, (block, view) in enumerate(zip(blocks, linear.weight_views(), strict=True)):
        assert torch.equal(block.view(linear.weight), view), f"path {number}"


METHODS = [SoftThreshold(), Sparse(changed=0.2), Scale(), MMEA()]


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_linear_stays_equivariant(method: AbstractMethod):
    linear = o3.Linear(IRREPS_IN, IRREPS_OUT)
    attachment = attach(linear, method, layout_of(linear))
    features = IRREPS_IN.randn(5, -1)
    base = linear(features)
    with torch.no_grad():
        for parameter in attachment.deltas["weight"].parameters():
            parameter += 0.5 * torch.randn_like(parameter)
    assert not torch.allclose(linear(features), base)
    rotation = o3.rand_matrix()
    for matrix in (rotation, -rotation):
        turned_first = linear(features @ IRREPS_IN.D_from_matrix(matrix).T)
        turned_last = linear(features) @ IRREPS_OUT.D_from_matrix(matrix).T
        torch.testing.assert_close(turned_first, turned_last, atol=1e-4, rtol=1e-4)
