"""Names of models of NequIP, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("nequip", reason="the extra nequip is not installed")

from equisparse.backbones.registry import guess, load_backbone
from equisparse.errors import BackboneError

CATEGORY = {"field": "dataset", "num_features": 2, "min": 0, "max": 1}


@pytest.mark.parametrize("name", ["broken.ckpt", "broken.nequip.zip", "missing.ckpt", "nequip.net:group/model:1"])
def test_what_is_no_model_is_refused(tmp_path, name):
    for broken in ("broken.ckpt", "broken.nequip.zip"):
        Path(tmp_path, broken).write_bytes(b"no model")
    source = name if name.startswith("nequip.net") else str(tmp_path / name)
    with pytest.raises(BackboneError, match="NequIP cannot load this model"):
        load_backbone(source)


def two_models(model_config: Callable[..., dict]) -> dict:
    """A training run may have several models."""
    both = {"_target_": "torch.nn.ModuleDict", "modules": {"one": model_config(), "two": model_config()}}
    return {"_target_": "hydra.utils.instantiate", "config": both | {"_convert_": "all"}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"per_type_energy_shifts": None}, "no energy shift per type"),
        ({"categorical_graph_field_embed": [CATEGORY]}, "embeds a category"),
        (None, "several models"),
        ({"do_derivatives": False}, "predicts no forces"),
    ],
    ids=["no-references", "category", "two", "no-forces"],
)
@pytest.mark.filterwarnings("ignore:Found `per_type")
def test_models_that_cannot_be_adapted_are_refused(tmp_path, model_config, write_checkpoint, changes, message):
    model = two_models(model_config) if changes is None else model_config(**changes)
    write_checkpoint(tmp_path / "m.ckpt", model)
    with pytest.raises(BackboneError, match=message):
        load_backbone(str(tmp_path / "m.ckpt"), dtype="float64")


def test_names_and_modalities(checkpoint):
    assert {guess("nequip.net:mir-group/NequIP-OAM-L:0.1"), guess("a/b.ckpt"), guess("b.nequip.zip")} == {"nequip"}
    with pytest.raises(BackboneError, match="no modalities"):
        load_backbone(str(checkpoint("plain")), modality="PBE")
