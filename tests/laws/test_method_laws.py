"""Every law, for every registered method in each of its variants, on random layouts."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equisparse.blocks import Layout
from equisparse.methods.registry import METHODS, make_method
from equisparse.testing.layouts import DTYPES, SEEDS, layouts, linear_layouts
from equisparse.testing.methods import METHOD_LAWS, MethodCase, MethodLaw
from equisparse.testing.tolerances import Tolerance

Variant = tuple[str, Callable[[Layout], dict[str, Any]], float]


def _published(**options: str | None) -> Variant:
    return "soft_threshold", lambda layout: {"rank": None} | options, 0.006  # 6 standard deviations of dW


# name of the variant -> method, options for a layout, largest change of a weight at the start
VARIANTS: dict[str, Variant] = {
    "soft-threshold-L": _published(regime="L"),
    "soft-threshold-H": _published(regime="H"),
    "soft-threshold-product": ("soft_threshold", lambda layout: {}, 0.04),  # products of normal numbers have long tails
    "soft-threshold-product-of-low-rank": ("soft_threshold", lambda layout: {"rank": 2}, 0.04),
    "sparse-one-entry": ("sparse", lambda layout: {"changed": 1 / layout.total_parameters}, 0.0),
    "sparse-half-late": (
        "sparse",
        lambda layout: {"changed": (layout.numel + 1) / 2 / layout.total_parameters, "dense_share": 0.9},
        0.0,
    ),
    "sparse-at-once": (
        "sparse",
        lambda layout: {"changed": 1 / layout.total_parameters, "dense_share": 0.0},
        0.0,
    ),
    "sparse-bytes": ("sparse", lambda layout: {"value_bytes": 4 * ((layout.numel + 1) // 2)}, 0.0),
    "scale": ("scale", lambda layout: {}, 0.0),
    "scale-half-precision": ("scale", lambda layout: {"half_precision": True}, 0.0),
    "lowrank": ("lowrank", lambda layout: {"rank": 4}, 0.0),
    "lowrank-bytes": ("lowrank", lambda layout: {"rank": 4, "value_bytes": layout.numel}, 0.0),
    "full": ("full", lambda layout: {}, 0.0),
    "readout": ("readout", lambda layout: {}, 0.0),
    "scratch": ("scratch", lambda layout: {}, 12.0),  # 6 standard deviations of fresh weights, and the base's own
    "elora": ("elora", lambda layout: {"rank": 2}, 0.0),
    "mmea": ("mmea", lambda layout: {"rank": 3}, 0.0),
    "sparse-entry-by-entry": (
        "sparse",
        lambda layout: {"changed": 1 / layout.total_parameters, "rank": None, "stored_values": "full"},
        0.0,
    ),
    "elora-alpha": ("elora", lambda layout: {"rank": 16, "alpha": 4.0}, 0.0),
}


_HALF = Tolerance(2e-3, 4e-3, "float16 values: 11 bits of a scale, or of a change that may be larger than the weight")
_BYTE = Tolerance(1e-2, 1e-2, "factors in 255 levels: each product is within two steps of one half in 127")
_ROUNDED = ("sparse-bytes", "sparse-one-entry", "sparse-half-late", "sparse-at-once", "scale-half-precision")
STORAGE = dict.fromkeys(_ROUNDED, _HALF) | dict.fromkeys(("lowrank", "lowrank-bytes"), _BYTE)
"""Variants that round what they store."""


def case(variant: str, layout: Layout) -> MethodCase:
    name, options, start_change = VARIANTS[variant]
    return MethodCase(make_method(name, options(layout)), start_change, STORAGE.get(variant))


def test_every_method_has_a_variant():
    assert {name for name, *_ in VARIANTS.values()} == set(METHODS)


def layouts_for(variant: str) -> st.SearchStrategy[Layout]:
    """Layouts that a method can act on: gates need modules that take and give rows of irreps."""
    return layouts() if make_method(VARIANTS[variant][0]).format.mergeable else linear_layouts()


@pytest.mark.parametrize("law", METHOD_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("variant", VARIANTS)
@given(data=st.data(), dtype=DTYPES, seed=SEEDS)
def test_law(variant: str, law: MethodLaw, data: st.DataObject, dtype: torch.dtype, seed: int):
    layout = data.draw(layouts_for(variant))
    law(case(variant, layout), layout, dtype, seed)
