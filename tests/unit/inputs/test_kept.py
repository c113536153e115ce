"""Structures that a fine-tune stays with its base on."""

from types import SimpleNamespace
from typing import Any

import pytest
from ase.build import bulk

from equisparse.config.finetune import FinetuneConfig
from equisparse.data.frames import LabelledFrame, unlabelled
from equisparse.inputs.splits import read_kept

BASE: Any = SimpleNamespace(name="a base", elements=frozenset(range(1, 40)))
COPPER: Any = SimpleNamespace(name="a base of copper", elements=frozenset({29}))


@pytest.fixture
def copper() -> list[LabelledFrame]:
    return unlabelled([bulk("Cu")], "here")


def symbols(frames: list[LabelledFrame]) -> list[set[str]]:
    return [set(frame.atoms.get_chemical_symbols()) for frame in frames]


def test_what_the_data_hold_alone_is_left_out(copper: list[LabelledFrame]) -> None:
    kept = symbols(read_kept(FinetuneConfig(train=["x"]), BASE, copper))
    assert {"Cu"} not in kept
    assert {"Ni"} in kept


def test_there_are_always_some(copper: list[LabelledFrame]) -> None:
    assert {"Cu"} in symbols(read_kept(FinetuneConfig(train=["x"]), COPPER, copper))
