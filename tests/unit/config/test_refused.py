"""Options that cannot be used are refused before anything is read: mistyped names, wrong types, values out of range."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import equisparse
from equisparse.blocks import Layout, matrix_blocks
from equisparse.config.finetune import FinetuneConfig
from equisparse.config.read import read_config
from equisparse.errors import InputError
from equisparse.inputs.arguments import configuration
from equisparse.methods.base import AbstractMethod
from equisparse.methods.registry import METHODS, make_method
from equisparse.quantities import ENERGY, Quantity, register_quantity


def from_python(**options: Any) -> FinetuneConfig:
    """Configuration of arguments as `equisparse.finetune` takes them."""
    base, method = options.pop("base", "7net-0"), options.pop("method", None)
    return configuration(FinetuneConfig, {"train": "a.xyz"}, base, method, options)


LAYOUT = Layout(matrix_blocks("mix.weight", [("0e->0e", 0, 1, (8, 8))], "linear", 0), {"mix.weight": (64,)}, 100)
ZERO = {"energy_weight": 0.0, "force_weight": 0.0, "stress_weight": 0.0}

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"chnaged": 0.03}, "use changed"),
    ({"batchsize": 3}, "use batch_size"),
    ({"learning_rate": 3}, "finetune --help"),
    ({"method": equisparse.Sparse}, "method=Sparse()"),
    ({"method": AbstractMethod}, "class"),
    ({"method": 3}, "text"),
    (ZERO, "All weights of the loss are 0"),
    (ZERO | {"moment_weight": 1.0, "magnetic_force_weight": 1.0}, "All weights"),
    ({"force_weight": -1.0}, "at least 0"),
    ({"force_weight": float("nan")}, "at least 0"),
    ({"loss_weights": {"forces": 2.0}}, "force_weight"),
    ({"gradient_clip": -1.0}, "at least 0"),
    ({"gradient_clip": float("inf")}, "at least 0"),
    ({"huber_delta": 0.0}, "above 0"),
    ({"huber_delta": float("inf")}, "above 0"),
    ({"valid_fraction": 0.0}, "above 0 and below 1"),
    ({"valid_fraction": 10}, "above 0 and below 1"),
    ({"changed": 3}, "above 0 and at most 1"),
    ({"changed": -0.1}, "above 0 and at most 1"),
    ({"changed": float("inf")}, "at most 1"),
    ({"budget": "forty"}, "such as 40KB"),
    ({"budget": 40_000}, "text"),
    ({"batch_size": 0}, "at least 1"),
    ({"batch_size": 4.0}, "a whole number"),
    ({"batch_size": "4"}, "without quotes"),
    ({"epochs": "10 epochs"}, "a whole number and at least 1"),
    ({"lr": "1e-3"}, "without quotes"),
    ({"lr": True}, "a number"),
    ({"lr": [0.1]}, "a number"),
    ({"seed": -1}, "at least 0"),
    ({"seed": 2**32}, "at most 4294967295"),
    ({"split_seed": 2**40}, "at most 4294967295"),
    ({"seed": "0"}, "whole number"),
    ({"targets": "all"}, r"such as \[all\]"),
    ({"spin": 1}, "true or false"),
    ({"patience": -1}, "at least 0"),
    ({"devices": 0}, "at least 1"),
    ({"optimizer": ["adamw"]}, "adamw or muon"),
    ({"optimizer": np.zeros(2)}, "adamw or muon"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_they_are_refused_with_what_is_allowed(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_python(**options)


def test_a_registered_quantity_can_be_all_that_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("equisparse.quantities._REGISTERED", {})
    register_quantity(Quantity(name="dipole", per="frame", shape=(3,), unit="e Angstrom", errors=()))
    assert from_python(**ZERO).force_weight == 0
    with pytest.raises(InputError, match="--loss-weights"):
        from_python(**ZERO, loss_weights={"dipole": 0.0})
    assert from_python(**ZERO | {"spin": True, "energy_weight": None}).loss_weight(ENERGY) == 1


def test_numbers_of_numpy_and_paths_are_plain_values(tmp_path: Path) -> None:
    config = from_python(
        lr=np.float32(0.5), seed=np.int64(3), changed=np.float64(0.25), targets=("linear",), out=tmp_path,
        loss_weights=None, fast=np.bool_(False), method="sparse", method_options={"rank": np.int32(4)},
    )  # fmt: skip
    (tmp_path / "c.yaml").write_text(config.to_yaml())
    read = read_config(tmp_path / "c.yaml")
    assert read == config
    assert (read.lr, read.seed, read.fast, read.method_options) == (0.5, 3, False, {"rank": 4})


@pytest.mark.parametrize(
    ("text", "message"),
    [("epochs: 1e-1", "a whole number"), ("lr: '0.1'", "without quotes"), ("batch_size: .nan", "a whole number")],
)
def test_numbers_that_yaml_reads_as_text(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("train: [a.xyz]\nepochs: 1e2\nhuber_delta: 5E-3\nseed: 2e0\n")
    config = read_config(path)
    assert (config.epochs, config.huber_delta, config.seed) == (100, 5e-3, 2)
    path.write_text(f"train: [a.xyz]\n{text}\n")
    with pytest.raises(InputError, match=message):
        read_config(path)


def test_names_of_methods_and_their_options_get_a_suggestion() -> None:
    for name, near in (("sparce", "sparse"), ("LowRank", "lowrank"), ("soft_treshold", "soft_threshold")):
        with pytest.raises(InputError, match=f"use {near}"):
            make_method(name)
    with pytest.raises(InputError, match="use rank"):
        make_method("lowrank", {"rnak": 3})
    with pytest.raises(InputError, match="a whole number"):
        make_method("lowrank", {"rank": "3"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, -1, "x", [1]])
@pytest.mark.parametrize("name", METHODS)
def test_options_of_methods_out_of_range_are_refused(name: str, value: object) -> None:
    kind = METHODS[name]
    for option in kind.__dataclass_fields__:
        with pytest.raises(InputError):
            make_method(name, {option: value}).resolve(LAYOUT)
