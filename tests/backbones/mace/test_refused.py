"""Names of models of MACE, and what is refused."""

from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from equisparse.backbones import upstream
from equisparse.backbones.registry import guess, load_backbone
from equisparse.errors import BackboneError
from equisparse.testing import backbone_layout

pytestmark = pytest.mark.filterwarnings("ignore:The TorchScript type system:UserWarning")
with upstream.quiet_import():
    pytest.importorskip("mace.modules", reason="the extra mace is not installed", exc_type=ImportError)

    from equisparse.backbones.mace import files as mace_files


def test_what_is_no_model_is_refused(tmp_path):
    Path(tmp_path, "broken.model").write_bytes(b"no model")
    torch.save({"a": 1}, tmp_path / "other.model")
    for name in ("broken.model", "other.model"):
        with pytest.raises(BackboneError, match="MACE cannot load this model"):
            load_backbone(str(tmp_path / name))
    with pytest.raises(BackboneError, match=r"no such MACE model(.|\n)*mace-mpa-0"):
        load_backbone("mace-mystery")


def test_models_that_take_charges_are_refused(build, tmp_path):
    spec = {"type": "categorical", "per": "graph", "in_dim": 1, "emb_dim": 4, "num_classes": 5, "offset": 2}
    build(tmp_path / "charged.model", "scale-shift", embedding_specs={"total_charge": spec})
    with pytest.raises(BackboneError, match="embeds charges"):
        load_backbone(str(tmp_path / "charged.model"))


def test_names_of_foundation_models():
    known = mace_files.foundation_models()
    assert {"mace-mp", "mace-mpa-0", "mace-off23", "mace-off23-small", "mace-omat-0", "mace-mh-1"} <= known.keys()
    assert {guess(name) for name in known} == {guess("mine.model")} == {"mace"}


def test_a_failed_download_is_told_in_words(monkeypatch):
    def fail(_: str) -> str:
        raise URLError("no route")

    monkeypatch.setattr(mace_files, "download_mace_mp_checkpoint", fail)
    with pytest.raises(BackboneError, match=r"cannot download(.|\n)*copy the .model file here"):
        load_backbone("mace-mh-1")
    told = []
    monkeypatch.setattr(mace_files._log, "warning", told.append)
    with pytest.raises(BackboneError, match="cannot download"):
        load_backbone("mace-off23")
    assert "no commercial use" in told[0]


@pytest.mark.network
def test_a_foundation_model_is_downloaded(oxides):
    backbone = load_backbone("mace-mp-0")
    backbone_layout.check_layout(backbone)
    assert backbone.elements >= {8, 12, 13}
