"""A file of MACE is a pickle: it is opened only if it is the one that was meant, and that is told."""

import hashlib
import logging
from pathlib import Path

import pytest
import torch

from equisparse.backbones import upstream
from equisparse.backbones.registry import load_backbone
from equisparse.errors import BackboneError

pytestmark = pytest.mark.filterwarnings("ignore:The TorchScript type system:UserWarning")
with upstream.quiet_import():
    pytest.importorskip("mace.modules", reason="the extra mace is not installed", exc_type=ImportError)


def test_a_pinned_file_is_opened_only_if_it_is_the_one(model_file, tmp_path):
    path = model_file("scale-shift")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_backbone(str(path), sha256=digest[:12]).identity.source == path.name
    trap = tmp_path / "trap.model"
    torch.save(Trap(tmp_path / "sprung"), trap)
    for pin in ("0" * 64, hashlib.sha256(trap.read_bytes()).hexdigest()[:4]):
        with pytest.raises(BackboneError, match="not opened"):
            load_backbone(str(trap), sha256=pin)
    assert not (tmp_path / "sprung").exists()


def test_opening_a_pickle_is_told_once(model_file, caplog, tmp_path):
    path = tmp_path / "copy.model"
    path.write_bytes(model_file("scale-shift").read_bytes())
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            load_backbone(str(path))
    assert sum("is a pickle" in record.getMessage() for record in caplog.records) == 1


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)
