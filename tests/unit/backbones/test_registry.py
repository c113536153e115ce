"""Backbones of other packages are known by name once they are registered, or offered by an entry point."""

from importlib.metadata import EntryPoint

import pytest

from equisparse.backbones import registry
from equisparse.backbones.registry import backbone_class, guess, register_backbone
from equisparse.errors import BackboneError, InputError, MissingPackageError


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


def test_what_cannot_be_imported_says_so() -> None:
    register_backbone("toy", "no_such_package.backbone:Toy")
    with pytest.raises(MissingPackageError, match="toy cannot be imported"):
        backbone_class("toy")
