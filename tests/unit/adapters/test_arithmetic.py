"""Sums of adapters: what they do to the weights, what they are stored as, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equisparse.adapters.adapter import Adapter, TrainedBy
from equisparse.adapters.arithmetic import COMBINED, combine, describe_combination
from equisparse.adapters.file import load_adapter, save_adapter
from equisparse.blocks import Layout, matrix_blocks
from equisparse.errors import AdapterMismatchError, InputError, StateError
from equisparse.formats.dense import Dense
from equisparse.formats.entries import Entries, pack
from equisparse.testing.adapters import IDENTITY, path_backbone, random_adapter
from equisparse.testing.layouts import DTYPES, SEEDS, layouts
from equisparse.testing.networks import PathNetwork
from equisparse.testing.tolerances import Tolerance

BASE = vars(IDENTITY)
LAYOUT = Layout(
    (
        *matrix_blocks("first.weight", [("0e->0e", 0, 1, (4, 5))], "linear", 0),
        *matrix_blocks("second.weight", [("1o->1o", 1, -1, (3, 3))], "linear", 1),
    ),
    {"first.weight": (20,), "second.weight": (9,)},
    40,
)
ROUNDING = {
    torch.float32: Tolerance(1e-6, 1e-6, "changes are rounded when they are stored and when they are added"),
    torch.float64: Tolerance(1e-14, 1e-14, "changes are rounded when they are stored and when they are added"),
}


def sparse(
    layout: Layout, seed: int, dtype: torch.dtype = torch.float32, fraction: float = 0.3, **more: Any
) -> Adapter:
    generator = torch.Generator().manual_seed(seed)
    stored = {}
    for name, shape in layout.tensor_shapes.items():
        change = torch.randn(shape, generator=generator, dtype=dtype)
        stored[name] = pack(change * (torch.rand(shape, generator=generator) < fraction))
    values = {"shifts": {8: -0.5 * seed}, "elements": (8,)} | more
    return Adapter(
        Entries(),
        layout,
        stored,
        base=BASE,
        dtype=str(dtype).removeprefix("torch."),
        trained_by=TrainedBy("sparse"),
        **values,
    )


def base_model(layout: Layout, dtype: torch.dtype) -> PathNetwork:
    return PathNetwork(layout, dtype, 0)


@given(layout=layouts(), dtype=DTYPES, seed=SEEDS, factors=st.lists(st.floats(-2, 2), min_size=1, max_size=4))
def test_the_combined_change_is_the_weighted_sum_of_the_changes(
    layout: Layout, dtype: torch.dtype, seed: int, factors: list[float]
) -> None:
    adapters = [sparse(layout, seed % 1000 + number, dtype) for number in range(len(factors))]
    combined = combine(adapters, factors)
    model = base_model(layout, dtype)
    found = combined.weights(model)
    for name in layout.tensors:
        base = model.get_parameter(name).detach()
        expected = base.double() + sum(
            factor * (adapter.weights(model)[name].double() - base.double())
            for factor, adapter in zip(factors, adapters, strict=True)
        )
        ROUNDING[dtype].check(name, found.get(name, base), expected.to(dtype))
    assert combined.shifts[8] == pytest.approx(
        sum(factor * adapter.shifts[8] for factor, adapter in zip(factors, adapters, strict=True))
    )


@given(layout=layouts(), dtype=DTYPES, seed=SEEDS)
def test_what_is_added_and_subtracted_again_is_gone(layout: Layout, dtype: torch.dtype, seed: int) -> None:
    a, b = sparse(layout, seed % 1000, dtype), sparse(layout, seed % 1000 + 1, dtype)
    again = combine([combine([a, b], [1, 1]), b], [1, -1])
    model = base_model(layout, dtype)
    expected, found = a.weights(model), again.weights(model)
    for name in layout.tensors:
        ROUNDING[dtype].check(name, found.get(name, model.get_parameter(name)), expected[name])
    nothing = combine([a, a], [1, -1])
    assert nothing.stored == {}
    assert nothing.weights(model) == {}


@given(layout=layouts(), dtype=DTYPES, seed=SEEDS)
def test_an_adapter_times_one_is_itself_bit_for_bit(layout: Layout, dtype: torch.dtype, seed: int) -> None:
    adapter = sparse(layout, seed % 1000, dtype)
    model = base_model(layout, dtype)
    expected = adapter.weights(model)
    found = {name: model.get_parameter(name) for name in layout.tensors} | combine([adapter], [1.0]).weights(model)
    assert all(torch.equal(weight, expected[name]) for name, weight in found.items())


def test_what_it_says_of_itself_survives_the_file(tmp_path: Path) -> None:
    a, b = sparse(LAYOUT, 1, metrics={"seed": 3}), sparse(LAYOUT, 2, elements=(1, 8), shifts={1: 4.0})
    combined = combine([a, b], [0.5, 0.25], names=["a.safetensors", "b.safetensors"])
    save_adapter(combined, tmp_path / "c.safetensors")
    loaded = load_adapter(tmp_path / "c.safetensors")
    assert loaded.metrics[COMBINED] == [
        {"name": "a.safetensors", "weight": 0.5, "method": "sparse", "seed": 3},
        {"name": "b.safetensors", "weight": 0.25, "method": "sparse"},
    ]
    assert (loaded.format, loaded.trained_by, loaded.elements) == (Entries(), None, (1, 8))
    assert loaded.shifts == {8: -0.25, 1: 1.0}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([{"name": "a", "weight": 0.5}, {"name": "b\x1b[2J", "weight": -1}], "+0.5 * a -1 * 'b\\x1b[2J'"),
        ([{"name": "a"}], "unreadable terms"),
        (3, "unreadable terms"),
        ([{"name": [1], "weight": 10**400}], "unreadable terms"),
    ],
    ids=["control characters", "no weight", "a number", "overflow"],
)
def test_what_a_file_says_of_its_terms_is_not_believed(told: Any, expected: str) -> None:
    assert describe_combination(replace(sparse(LAYOUT, 1), metrics={COMBINED: told})) == expected
    assert describe_combination(sparse(LAYOUT, 1)) is None


def test_dense_sums_are_stored_whole_and_sparse_ones_as_entries() -> None:
    few, many = sparse(LAYOUT, 1, fraction=0.2), sparse(LAYOUT, 2, fraction=1.0)
    assert combine([few, few], [1, 1]).format == Entries()
    assert combine([few, many], [1, 1]).format == Dense()


def test_adapters_of_different_tensors_are_united() -> None:
    first = sparse(LAYOUT.restrict(["first.weight"]), 1)
    second = sparse(LAYOUT.restrict(["second.weight"]), 2)
    combined = combine([first, second], [1, 1])
    assert combined.layout == LAYOUT
    assert set(combined.stored) == {"first.weight", "second.weight"}


def test_a_method_that_multiplies_weights_needs_the_base() -> None:
    base = path_backbone(LAYOUT)
    scale, entries = random_adapter(base, LAYOUT, "scale", 1), random_adapter(base, LAYOUT, "sparse", 2)
    with pytest.raises(InputError, match="--base path network"):
        combine([scale, entries], [1, 1])
    combined = combine([scale, entries], [0.5, 2.0], backbone=base)
    found, one, two = (adapter.weights(base.model) for adapter in (combined, scale, entries))
    for name, weight in found.items():
        start = base.model.get_parameter(name).detach()
        expected = start + 0.5 * (one[name] - start) + 2.0 * (two[name] - start)
        ROUNDING[torch.float32].check(name, weight, expected)
    scale.merge_into(base.model)
    with pytest.raises(StateError, match="not as it was loaded"):
        combine([scale, entries], [0.5, 2.0], backbone=base)


def test_gates_are_refused() -> None:
    gates = random_adapter(path_backbone(LAYOUT), LAYOUT, "mmea", 1)
    with pytest.raises(StateError, match="changes outputs of layers instead of weights"):
        combine([sparse(LAYOUT, 1), gates], [1, 1])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"base": BASE | {"sha256": "1" * 64}}, "another base model"),
        ({"dtype": "float64"}, "another dtype"),
        ({"modality": "PBE"}, "another modality"),
        ({"layout": replace(LAYOUT, total_parameters=41)}, "do not fit each other"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_adapters_that_do_not_belong_together_are_refused(other: dict[str, Any], message: str) -> None:
    with pytest.raises(AdapterMismatchError, match=message):
        combine([sparse(LAYOUT, 1), replace(sparse(LAYOUT, 2), **other)], [1, 1])


@pytest.mark.parametrize("factors", [[], [1.0], [1.0, 2.0, 3.0], [1.0, float("nan")]], ids=str)
def test_weights_that_are_none_are_refused(factors: list[float]) -> None:
    with pytest.raises(InputError, match="one finite weight"):
        combine([sparse(LAYOUT, 1), sparse(LAYOUT, 2)], factors)


def test_a_sum_that_overflows_is_refused() -> None:
    with pytest.raises(InputError, match="too large"):
        combine([sparse(LAYOUT, 1)], [1e39])
