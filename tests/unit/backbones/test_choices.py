"""Device and modality of a backbone: what can be chosen, and what is refused."""

import pytest
import torch

from equisparse.backbones.device import resolve_device
from equisparse.backbones.modality import checked_modality
from equisparse.errors import BackboneError


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert resolve_device("auto") == torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(BackboneError, match=r"No CUDA device(.|\n)*--device cpu"):
        resolve_device("cuda:0")
    with pytest.raises(BackboneError, match="Invalid device"):
        resolve_device("gpu")


def test_modalities() -> None:
    assert checked_modality([], None, "model") is None
    assert checked_modality(["PBE", "R2SCAN"], "PBE", "model") == "PBE"
    with pytest.raises(BackboneError, match=r"has no modalities(.|\n)*omit --modality"):
        checked_modality([], "PBE", "model")
    with pytest.raises(BackboneError, match=r"given: none(.|\n)*PBE or R2SCAN"):
        checked_modality(["PBE", "R2SCAN"], None, "model")
