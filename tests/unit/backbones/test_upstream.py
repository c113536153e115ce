"""Upstream packages are contained: their exceptions, environment variables and default precision."""

import os

import pytest
import torch

from equisparse.backbones.upstream import default_dtype, environment_restored, translate_errors
from equisparse.errors import BackboneError


def test_any_exception_becomes_a_backbone_error_with_its_first_line_as_cause() -> None:
    with (
        pytest.raises(BackboneError, match=r"Cannot load(.|\n)*given: x(.|\n)*likely cause: OSError: one\n") as raised,
        translate_errors("Cannot load.", given="x", next_step="try again"),
    ):
        raise OSError("one\ntwo")
    assert isinstance(raised.value.__cause__, OSError)
    assert "next step: try again" in str(raised.value)


def test_a_backbone_error_passes_unchanged() -> None:
    error = BackboneError("Ours.")
    with pytest.raises(BackboneError) as raised, translate_errors("Cannot load.", given="x"):
        raise error
    assert raised.value is error


def test_environment_variables_are_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUISPARSE_CHANGED", "before")
    monkeypatch.setenv("EQUISPARSE_REMOVED", "before")
    with environment_restored():
        os.environ |= {"EQUISPARSE_CHANGED": "after", "EQUISPARSE_NEW": "after"}
        del os.environ["EQUISPARSE_REMOVED"]
    assert os.environ["EQUISPARSE_CHANGED"] == os.environ["EQUISPARSE_REMOVED"] == "before"
    assert "EQUISPARSE_NEW" not in os.environ


def test_default_precision_is_restored() -> None:
    before = torch.get_default_dtype()
    with default_dtype(torch.float64):
        assert torch.zeros(1).dtype is torch.float64
    assert torch.get_default_dtype() is before
    with pytest.raises(ValueError, match="stop"), default_dtype(torch.float64):
        raise ValueError("stop")
    assert torch.get_default_dtype() is before
