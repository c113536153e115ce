"""An adapter made of the difference of two models gives the second one, and says where it came from."""

import copy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equisparse.adapters.extraction import (
    EXTRACTED,
    addend,
    check_same_network,
    describe_extraction,
    extracted_adapter,
)
from equisparse.adapters.file import load_adapter, save_adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.blocks import Layout, matrix_blocks
from equisparse.errors import AdapterMismatchError, InputError
from equisparse.report.terminal.inspect import inspect_tables
from equisparse.testing.adapters import IDENTITY
from equisparse.testing.networks import PathNetwork

LAYOUT = Layout(
    (
        *matrix_blocks("first.weight", [("0e->0e", 0, 1, (40, 50))], "linear", 0),
        *matrix_blocks("second.weight", [("1o->1o", 1, -1, (30, 30))], "linear", 1),
    ),
    {"first.weight": (2000,), "second.weight": (900,)},
    10_000,
)
ORIGIN = {"file": "mine.pth", "sha256": "ab" * 32}


def backbone(**changes: Any) -> AbstractBackbone:
    values = {
        "name": "toy",
        "model": PathNetwork(LAYOUT, torch.float32, 0),
        "identity": IDENTITY,
        "layout": lambda: LAYOUT,
        "dtype": torch.float32,
        "modality": None,
        "cutoff": 5.0,
        "elements": frozenset({1, 8}),
        "element_order": (1, 8),
        "reference_tensor": "references",
        "reference_energies": {1: -1.0, 8: -4.0},
    }
    return cast(AbstractBackbone, SimpleNamespace(**values | changes))


def perturbed(fraction: float, scale: float) -> AbstractBackbone:
    """The toy with some weights changed."""
    model, generator = PathNetwork(LAYOUT, torch.float32, 0), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name in LAYOUT.tensors:
            weight = model.get_parameter(name)
            chosen = torch.rand(weight.shape, generator=generator) < fraction
            weight.add_(scale * torch.randn(weight.shape, generator=generator) * chosen)
    return backbone(model=model, reference_energies={1: -1.0, 8: -4.25})


@pytest.mark.parametrize(("fraction", "stored_as"), [(0.02, "entries"), (1.0, "dense")])
def test_the_adapter_gives_the_finetuned_weights(fraction: float, stored_as: str) -> None:
    base, tuned = backbone(), perturbed(fraction, 0.01)
    adapter, rounding = extracted_adapter(base, tuned, ORIGIN)
    assert (adapter.format.name, adapter.trained_by, adapter.elements) == (stored_as, None, ())
    assert adapter.shifts == {8: -0.25}
    weights = adapter.weights(base.model)
    off = {name: (weight - tuned.model.get_parameter(name).detach()).abs() for name, weight in weights.items()}
    assert sum(int(values.count_nonzero()) for values in off.values()) == rounding.inexact
    assert max(float(values.max()) for values in off.values()) == rounding.largest <= 1e-8
    assert rounding.inexact < 0.02 * LAYOUT.numel * fraction


def test_only_reference_energies() -> None:
    adapter, rounding = extracted_adapter(backbone(), backbone(reference_energies={1: 2.0, 8: -4.0}), ORIGIN)
    assert (adapter.stored, adapter.shifts) == ({}, {1: 3.0})
    assert (rounding.inexact, rounding.largest) == (0, 0.0)


def test_parameters_that_no_path_has_are_carried(tmp_path: Path) -> None:
    base, tuned = backbone(), backbone()
    for one in (base, tuned):
        one.model.register_parameter("roots", torch.nn.Parameter(torch.arange(3.0)))
    with torch.no_grad():
        tuned.model.get_parameter("roots").add_(0.5)
    adapter, _ = extracted_adapter(base, tuned, ORIGIN)
    save_adapter(adapter, tmp_path / "a.safetensors")
    read = load_adapter(tmp_path / "a.safetensors")
    assert [block.role for block in read.layout] == ["linear", "linear", "other"]
    assert torch.equal(read.weights(base.model)["roots"], tuned.model.get_parameter("roots"))


def test_equal_models_are_refused() -> None:
    with pytest.raises(InputError, match="does not differ from the base"):
        extracted_adapter(backbone(), backbone(), ORIGIN)


def test_weights_that_are_not_finite_are_refused() -> None:
    tuned = perturbed(0.5, 0.01)
    with torch.no_grad():
        tuned.model.get_parameter("second.weight")[0] = torch.nan
    with pytest.raises(InputError, match="not finite") as error:
        extracted_adapter(backbone(), tuned, ORIGIN)
    assert "second.weight" in str(error.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cutoff": 6.0}, "cutoff: 6 Angstrom, in the base 5 Angstrom"),
        ({"element_order": (8, 1)}, "elements: 2 elements (O H), in the base 2 elements (H O)"),
        ({"element_order": (1,)}, "--foundation_model_elements"),
        ({"name": "other"}, "upstream: other, in the base toy"),
    ],
)
def test_other_networks_are_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(AdapterMismatchError, match="another network") as error:
        check_same_network(backbone(), backbone(**changes))
    assert words in str(error.value)


def test_other_constants_are_refused_by_name() -> None:
    base, tuned = backbone(), perturbed(0.5, 0.01)
    for one, value in ((base, 1.0), (tuned, 2.0)):
        one.model.register_buffer("energy_scale", torch.tensor(value))
    with pytest.raises(AdapterMismatchError, match="other constants") as error:
        check_same_network(base, tuned)
    assert "energy_scale: 2, in the base 1" in str(error.value)
    check_same_network(base, backbone(model=copy.deepcopy(base.model)))


def test_inspect_shows_the_file() -> None:
    adapter, _ = extracted_adapter(backbone(), perturbed(0.1, 0.01), ORIGIN)
    assert describe_extraction(adapter) == "mine.pth (sha256 abababababab...)"
    assert len(list(inspect_tables(adapter, 100))) == 5
    for damage in (3, {}, {"file": "\x1b[2J", "sha256": "x"}):
        assert describe_extraction(replace(adapter, metrics={EXTRACTED: damage})).isprintable()


FLOATS = st.floats(-1e4, 1e4, width=32)


@given(FLOATS, FLOATS)
def test_the_addend_is_the_best_there_is(base: float, target: float) -> None:
    one, other = torch.tensor(base), torch.tensor(target)
    change = addend(one, other)
    deviation = float((one + change - other).abs())
    plain = float((one + (other - one) - other).abs())
    assert deviation <= plain
    assert deviation <= 2**-24 * float(change.abs()) + 2**-23 * abs(target)
    if one == other:
        assert change == 0
