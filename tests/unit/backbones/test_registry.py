"""Backbones of other packages are known by name once they are registered, or offered by an entry point."""

import logging
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from equisparse.backbones import registry
from equisparse.backbones.registry import backbone_class, guess, load_backbone, register_backbone
from equisparse.errors import BackboneError, InputError, MissingPackageError
from equisparse.testing.toy import ToyBackbone


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_BACKBONES", dict(registry._BACKBONES))


def test_names_and_files_lead_to_the_backbone_that_was_registered() -> None:
    register_backbone("toy", "fractions:Fraction", prefixes=("Toy-",), suffixes=(".toy",))
    assert guess("toy-1") == guess("folder/model.TOY") == "toy"
    assert backbone_class("toy").__name__ == "Fraction"
    assert guess("7net-0") == "sevennet"


def test_a_name_is_given_once() -> None:
    register_backbone("toy", "fractions:Fraction")
    register_backbone("toy", "fractions:Fraction")
    with pytest.raises(InputError, match="There is a backbone of this name"):
        register_backbone("toy", "decimal:Decimal")
    with pytest.raises(InputError, match="There is a backbone of this name"):
        register_backbone("mace", "decimal:Decimal")


def test_entry_points_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("offered", "fractions:Fraction", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry.metadata, "entry_points", lambda group: [point] if "backbones" in group else [])
    assert backbone_class("offered").__name__ == "Fraction"
    with pytest.raises(BackboneError, match="offered"):
        guess("something")


def test_the_class_of_an_entry_point_says_which_models_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToyBackbone, "prefixes", ("toy-",))
    monkeypatch.setattr(ToyBackbone, "suffixes", (".toy",))
    places = {"broken": "no_such_package.backbone:Toy", "offered": "equisparse.testing.toy:ToyBackbone"}
    points = [EntryPoint(name, place, registry.ENTRY_POINTS) for name, place in places.items()]
    monkeypatch.setattr(registry.metadata, "entry_points", lambda group: points if "backbones" in group else [])
    assert guess("Toy-1") == guess("folder/model.TOY") == "offered"
    assert guess("model.pth") == "sevennet"
    with pytest.raises(BackboneError, match=r"\.toy"):
        guess("something")


@pytest.mark.parametrize("runs_code", [True, False])
def test_only_files_that_can_run_code_are_announced(
    runs_code: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ToyBackbone, "runs_code", runs_code)
    register_backbone("toy", ToyBackbone, suffixes=(".toy",))
    ToyBackbone.load("toy-1").save_native(tmp_path / "model.toy", {})
    with caplog.at_level(logging.WARNING):
        load_backbone(tmp_path / "model.toy")
    assert ("is a pickle" in caplog.text) == runs_code


def test_what_cannot_be_imported_says_so() -> None:
    register_backbone("toy", "no_such_package.backbone:Toy")
    with pytest.raises(MissingPackageError, match="toy cannot be imported"):
        backbone_class("toy")
