"""An ensemble that is resumed: its members are bound to their frames and options, too."""

import shutil
from pathlib import Path
from typing import Any

import ase.io
import pytest
from ase import Atoms

import equisparse
from equisparse.errors import InputError
from equisparse.tasks import finetune
from equisparse.tasks.finetune import finetune_config


@pytest.fixture(autouse=True)
def _no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports, which the smallest base cannot have, are files that say no more than that a member is finished."""

    def finished(*args: Any, **kwargs: Any) -> equisparse.Run:
        run = finetune_config(*args, **kwargs, report=False)
        run.files.report.write_text("made")
        return run

    monkeypatch.setattr("equisparse.tasks.ensemble.finetune_config", finished)


@pytest.fixture
def ensemble(files: dict[str, str], options: dict[str, Any]) -> dict[str, Any]:
    """Arguments of an ensemble of two members, which is trained."""
    given = options | {"train": files["train"], "valid": files["valid"], "members": 2}
    del given["report"]
    equisparse.ensemble(**given)
    return given


def contents(folder: Path) -> dict[str, bytes]:
    """All files of an ensemble."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_other_options_and_frames_are_refused_before_anything_is_written(
    ensemble: dict[str, Any], frames: list[Atoms], molecule: Any
) -> None:
    out = ensemble["out"]
    before = contents(out)
    for changed, word in (({"lr": 0.5}, "--lr 0.5"), ({"seed": 3}, "--seed"), ({"train": frames}, "train frames")):
        with pytest.raises(InputError, match=word):
            equisparse.ensemble(**ensemble | changed, resume=True)
        assert contents(out) == before
    with pytest.raises(InputError, match="holds a run already"):
        equisparse.ensemble(**ensemble | {"train": frames})
    assert contents(out) == before
    shutil.rmtree(out / "member-0")
    ase.io.write(ensemble["train"], [*frames, molecule(70)])
    with pytest.raises(InputError, match="other train frames"):
        equisparse.ensemble(**ensemble, resume=True)
    assert not list((out / "member-0").iterdir())


def test_more_members_and_more_epochs_pass(ensemble: dict[str, Any]) -> None:
    out = ensemble["out"]
    first = (out / "member-0" / "adapter.safetensors").read_bytes()
    run = equisparse.ensemble(**ensemble | {"members": 3, "epochs": None}, resume=True)
    assert [len(member.curve) for member in run.members] == [2, 2, 2]
    assert (out / "member-0" / "adapter.safetensors").read_bytes() == first
    longer = equisparse.ensemble(**ensemble | {"members": 3, "epochs": 3}, resume=True)
    assert [len(member.curve) for member in longer.members] == [3, 3, 3]


def test_a_member_that_is_cut_off_while_it_goes_on_is_not_finished(
    ensemble: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(finetune, "train_adapter", lambda *_, **__: pytest.fail("cut off"))
        with pytest.raises(pytest.fail.Exception):
            equisparse.ensemble(**ensemble | {"epochs": 3}, resume=True)
    run = equisparse.ensemble(**ensemble | {"epochs": 3}, resume=True)
    assert [len(member.curve) for member in run.members] == [3, 3]
