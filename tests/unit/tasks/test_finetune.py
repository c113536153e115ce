"""A fine-tune of the smallest base: what it leaves as it was, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from ase import Atoms

import equisparse
from equisparse.backbones.base import AbstractBackbone
from equisparse.errors import EquisparseError, StateError
from equisparse.training.task import FinetuneTask


def test_a_loaded_base_keeps_its_form_and_its_weights(
    toy: type[AbstractBackbone], frames: list[Atoms], valid: list[Atoms], options: dict[str, Any]
) -> None:
    base = toy.load("toy-1")
    model, before = base.model, {name: value.clone() for name, value in base.model.state_dict().items()}
    run = equisparse.finetune(frames, valid=valid, **options | {"base": base})
    assert run.adapter.stored
    assert base.model is model
    assert not hasattr(model, "accelerated")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    base.check_untouched()
    assert all(parameter.requires_grad for parameter in model.parameters())


def unlabelled(frames: list[Atoms]) -> list[Atoms]:
    return [Atoms(atoms.numbers, atoms.positions) for atoms in frames]


def with_xenon(frames: list[Atoms]) -> list[Atoms]:
    return [*frames, Atoms("XeH", [[0, 0, 0], [0, 0, 2]])]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no frames": ({"train": []}, "Frames are missing"),
    "a mapping": ({"train": {"a": 1}}, "Frames are missing"),
    "no file": ({"valid": "nowhere.xyz"}, "No file matches"),
    "one replay structure": ({"replay": unlabelled}, "too few replay structures"),
    "a name that is too long": ({"out": "x" * 300}, "cannot be written"),
    "no name": ({"out": ""}, "not empty"),
    "a null character": ({"out": "a\0b"}, "not empty"),
    "options by number": ({"method_options": {1: 3}}, "method-options"),
    "weights by number": ({"loss_weights": {1: 3.0}}, "loss-weights"),
    "no logger": ({"logger": "wandb"}, "pip install wandb"),
    "nothing to learn": ({"force_weight": 0.0, "energy_weight": 0.0}, "nothing to learn"),
    "no labels": ({"train": unlabelled}, "nothing to learn"),
    "an unknown element": ({"train": with_xenon}, "does not know all elements"),
    "nothing to resume": ({"resume": True}, "no checkpoint to resume from"),
    "no accelerators": ({"accelerator": "oeq"}, "cannot be used with the backbone toy"),
    "a misspelt option": ({"epoch": 3}, "use epochs"),
    "a misspelt method": ({"method": "fulll"}, "use full"),
}


@pytest.mark.parametrize(("changed", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_and_leaves_nothing(
    changed: dict[str, Any],
    message: str,
    frames: list[Atoms],
    valid: list[Atoms],
    options: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("equisparse.training.loggers.find_spec", lambda _: None)
    made = {
        name: value(frames[:1] if name == "replay" else frames) for name, value in changed.items() if callable(value)
    }
    given = {"train": frames, "valid": valid, **options} | changed | made
    with pytest.raises(EquisparseError, match=message):
        equisparse.finetune(given.pop("train"), **given)
    assert not list(tmp_path.rglob("checkpoints"))


def test_a_training_that_diverged_leaves_nothing_to_resume(
    files: dict[str, str], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = FinetuneTask.on_train_epoch_start

    def start(task: FinetuneTask) -> None:
        started(task)
        for parameter in task.deltas.parameters():
            parameter.data.fill_(float("nan"))

    with monkeypatch.context() as patch:
        patch.setattr(FinetuneTask, "on_train_epoch_start", start)
        with pytest.raises(StateError, match="diverged"):
            equisparse.finetune(files["train"], **options)
    assert equisparse.finetune(files["train"], **options).metrics.steps == 6


def test_a_mistyped_command_in_the_folder_of_an_interrupted_run_is_told_of_its_typing_error(
    files: dict[str, str], options: dict[str, Any]
) -> None:
    run = equisparse.finetune(files["train"], **options)
    run.files.adapter.unlink()
    for train, wrong, message in (
        ("trian.xyz", {}, "No file matches"),
        (files["train"], {"method": "fulll"}, "use full"),
        (files["train"], {"method_options": {"x": 1}}, "no such option"),
        (files["train"], {}, "was interrupted"),
    ):
        with pytest.raises(EquisparseError, match=message):
            equisparse.finetune(train, **options | wrong)
