"""When the convolutions of a base are compiled, and what is said about it."""

from collections.abc import Callable
from typing import Any

import pytest
from ase import Atoms

from equisparse.config.finetune import FinetuneConfig
from equisparse.data.frames import LabelledFrame, unlabelled
from equisparse.errors import BackboneError
from equisparse.tasks import speed
from equisparse.tasks.listener import Listener
from equisparse.testing.toy import ToyBackbone


class Notes(Listener):
    """Keeps what is said about speed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def notice(self, topic: str, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(name="frames")
def labelled(molecule: Callable[[int], Atoms]) -> list[LabelledFrame]:
    """Frames of a training."""
    return unlabelled([molecule(seed) for seed in range(3)], "made-up")


@pytest.fixture
def said(
    toy: type[ToyBackbone], frames: list[LabelledFrame], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """Function that speeds up the smallest base with some options and returns what is said."""
    monkeypatch.setattr(speed, "compilable", lambda model: [model] if hasattr(model, "accelerated") else [])
    monkeypatch.setattr(speed, "compile_convolutions", lambda model: 2)

    def call(**options: Any) -> list[str]:
        config = FinetuneConfig(train=["a.xyz"], **options)
        notes = Notes()
        speed.speed_up(config, config.resolved(len(frames), 1e-2), toy.load("toy-1"), frames, notes)
        return notes.lines

    return call


@pytest.mark.parametrize(
    ("seconds", "options", "compiled"),
    [
        (1.0, {"max_steps": 1000}, True),
        (1.0, {"max_steps": 1000, "compile": "off"}, False),
        (1.0, {"max_steps": 1000, "fast": False}, False),
        (1e-3, {"max_steps": 1000}, False),
        (1e3, {"max_steps": 2}, False),
        (1e-3, {"max_steps": 2, "compile": "on"}, True),
    ],
)
def test_long_runs_are_compiled(said, monkeypatch, seconds, options, compiled):
    monkeypatch.setattr(speed, "seconds_per_frame", lambda backbone, frames: seconds)
    assert any("2 compiled convolutions" in line for line in said(**options)) == compiled


def test_a_step_is_measured_and_leaves_the_base_as_it_was(toy, frames):
    base = toy.load("toy-1")
    assert 0 < speed.seconds_per_frame(base, frames) < 10
    assert not base.model.training
    assert all(parameter.grad is None for parameter in base.model.parameters())
    base.check_untouched()


def test_a_failure_is_one_line(said, monkeypatch):
    def fail(model: object) -> int:
        raise BackboneError("The convolutions cannot be compiled on this machine.", cause="no C++ compiler was found")

    monkeypatch.setattr(speed, "compile_convolutions", fail)
    *_, line = said(compile="on")
    assert line.startswith("convolutions are not compiled")
    assert "no C++ compiler was found" in line
    assert "\n" not in line


def test_a_base_without_a_faster_form(said, monkeypatch):
    monkeypatch.setattr(speed, "compile_convolutions", lambda model: 0)
    assert said(compile="on")[-1] == "convolutions are not compiled: the base has no faster form"
