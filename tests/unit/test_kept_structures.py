"""Structures that a fine-tune stays with its base on."""

from types import SimpleNamespace
from typing import Any

import pytest
from ase import Atoms
from ase.build import bulk

from equisparse.config.finetune import FinetuneConfig
from equisparse.data.frames import LabelledFrame, unlabelled
from equisparse.workflow.inputs import read_kept

COPPER: Any = SimpleNamespace(name="a base", elements=frozenset({8, 29}))


@pytest.fixture
def copper() -> list[LabelledFrame]:
    return unlabelled([bulk("Cu")], "here")


def symbols(frames: list[LabelledFrame]) -> list[set[str]]:
    return [set(frame.atoms.get_chemical_symbols()) for frame in frames]


def test_what_the_data_hold_alone_is_left_out(copper: list[LabelledFrame]) -> None:
    kept = symbols(read_kept(FinetuneConfig(train=["x"]), COPPER, copper))
    assert {"Cu"} not in kept
    assert {"O"} in kept
    assert {"Cu", "O"} in kept


def test_there_are_always_some(copper: list[LabelledFrame]) -> None:
    everything = [*copper, *unlabelled([Atoms("O2", [[0, 0, 0], [0, 0, 1.2]])], "here")]
    assert {"Cu"} in symbols(read_kept(FinetuneConfig(train=["x"]), COPPER, everything))
