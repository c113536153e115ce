"""Every law, for every registered method in each of its variants, on random layouts."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given

from equisparse.adapters.attach import attach
from equisparse.blocks import Layout, matrix_blocks
from equisparse.methods.registry import METHODS, make_method
from equisparse.testing.layouts import DTYPES, SEEDS, layouts
from equisparse.testing.methods import METHOD_LAWS, MethodCase, MethodLaw

Variant = tuple[str, Callable[[Layout], dict[str, Any]], float]


def _published(**options: str) -> Variant:
    return "sparse", lambda layout: options, 0.06  # 6 standard deviations of dW


# name of the variant -> method, options for a layout, largest change of a weight at the start
VARIANTS: dict[str, Variant] = {
    "sparse-L": _published(regime="L"),
    "sparse-H": _published(regime="H"),
    "sparse-per-path": _published(tau_per="path"),
    "sparse-one-entry": ("sparse", lambda layout: {"changed": 1 / layout.total_parameters}, 0.0),
    "sparse-half-late": (
        "sparse",
        lambda layout: {"changed": (layout.numel + 1) / 2 / layout.total_parameters, "prune_end": 0.9},
        0.0,
    ),
    "sparse-bytes": ("sparse", lambda layout: {"value_bytes": 6 * layout.numel}, 0.0),
    "scale": ("scale", lambda layout: {}, 0.0),
}


def case(variant: str, layout: Layout) -> MethodCase:
    name, options, start_change = VARIANTS[variant]
    return MethodCase(make_method(name, options(layout)), start_change)


def test_every_method_has_a_variant():
    assert {name for name, *_ in VARIANTS.values()} == set(METHODS)


@pytest.mark.parametrize("law", METHOD_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("variant", VARIANTS)
@given(layout=layouts(), dtype=DTYPES, seed=SEEDS)
def test_law(variant: str, law: MethodLaw, layout: Layout, dtype: torch.dtype, seed: int):
    law(case(variant, layout), layout, dtype, seed)


@pytest.mark.parametrize("variant", VARIANTS)
def test_e3nn_linear_stays_equivariant(variant: str):
    o3 = pytest.importorskip("e3nn.o3")
    irreps_in, irreps_out = o3.Irreps("3x0e+2x0o+4x1o+2x1e+3x2e"), o3.Irreps("2x0e+5x1o+1x1e+2x2e+1x0o")
    linear = o3.Linear(irreps_in, irreps_out)
    parts = [
        (
            f"{irreps_in[i.i_in].ir}->{irreps_out[i.i_out].ir}",
            irreps_out[i.i_out].ir.l,
            irreps_out[i.i_out].ir.p,
            i.path_shape,
        )
        for i in linear.instructions
    ]
    layout = Layout(matrix_blocks("weight", parts, "linear", 0), {"weight": tuple(linear.weight.shape)}, 100)
    attachment = attach(linear, case(variant, layout).method, layout)
    features, base = irreps_in.randn(5, -1), linear(irreps_in.randn(1, -1))
    with torch.no_grad():
        for parameter in attachment.deltas["weight"].parameters():
            parameter += 0.5 * torch.randn_like(parameter)
    assert base.shape == (1, irreps_out.dim)
    for matrix in (o3.rand_matrix(), -o3.rand_matrix()):
        turned_first = linear(features @ irreps_in.D_from_matrix(matrix).T)
        turned_last = linear(features) @ irreps_out.D_from_matrix(matrix).T
        torch.testing.assert_close(turned_first, turned_last, atol=1e-4, rtol=1e-4)
