"""Files are read exactly, and written as they were; what is no file of a supported model is refused."""

import json
import logging

import numpy as np
import pytest
import torch
from e3nn.o3 import Linear

from equisparse.backbones.registry import guess, load_backbone
from equisparse.errors import BackboneError
from equisparse_nequix import files, published
from equisparse_nequix.backbone import NequixBackbone


def test_a_file_is_found_by_its_ending_and_is_no_pickle(small, caplog):
    assert guess("nequix-mp-1") == guess("folder/MODEL.NQX") == "nequix"
    with caplog.at_level(logging.WARNING):
        assert load_backbone(small).name == "nequix"
    assert not caplog.records


def test_a_file_is_written_as_it_was_read(small, single, tmp_path):
    single.save_native(tmp_path / "same.nqx", {})
    assert (tmp_path / "same.nqx").read_bytes() == small.read_bytes()


def test_shifts_move_the_energies_of_both_places(single, tmp_path):
    single.save_native(tmp_path / "moved.nqx", {8: 0.25})
    moved = NequixBackbone.load(str(tmp_path / "moved.nqx"))
    assert moved.reference_energies == {**single.reference_energies, 8: single.reference_energies[8] + 0.25}
    config = json.loads((tmp_path / "moved.nqx").read_bytes().split(b"\n", 1)[0])
    assert config["atom_energies"] == {str(z): energy for z, energy in moved.reference_energies.items()}
    assert moved.identity.sha256 != single.identity.sha256
    assert moved.loaded == single.loaded


def test_what_follows_the_arrays_is_ignored(small, single, tmp_path):
    path = tmp_path / "more.nqx"
    with path.open("wb") as file:
        file.write(small.read_bytes())
        np.save(file, 0.5)
    assert NequixBackbone.load(str(path)).identity.sha256 == single.identity.sha256


def test_paths_have_the_order_of_their_names():
    inputs = " + ".join(f"1x{degree}e" for degree in range(11))
    paths = list(files._paths("skip", Linear(inputs, "2x10e + 2x2e + 3x1e")))
    assert [(entry.shape, entry.offset) for entry in paths] == [((1, 3), 0), ((1, 2), 5), ((1, 2), 3)]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"index_weights": True}, "index_weights"),
        ({"hidden_irreps": "8x0e + 4x0o + 4x1o"}, "odd scalars"),
        ({"hidden_irreps": "4x1o + 8x0e"}, "order of e3nn"),
        ({"lmax": 1}, "does not fit the model"),
        ({"lmax": "none"}, "no Nequix model"),
    ],
)
def test_other_models_are_refused(small, tmp_path, changes, match):
    first, rest = small.read_bytes().split(b"\n", 1)
    path = tmp_path / "other.nqx"
    path.write_bytes(json.dumps(json.loads(first) | changes).encode() + b"\n" + rest)
    with pytest.raises(BackboneError, match=match):
        NequixBackbone.load(str(path))


def test_damaged_files_are_refused(small, tmp_path):
    path = tmp_path / "short.nqx"
    path.write_bytes(small.read_bytes()[:-100])
    with pytest.raises(BackboneError, match="no Nequix model"):
        NequixBackbone.load(str(path))
    path.write_bytes(b"not json")
    with pytest.raises(BackboneError, match="no Nequix model"):
        NequixBackbone.load(str(path))
    with pytest.raises(BackboneError, match="modalities"):
        NequixBackbone.load(str(small), modality="pbe")


def test_published_models_are_kept_and_checked(small, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    kept = tmp_path / ".cache" / "nequix" / "models" / "nequix-mp-1.nqx"
    monkeypatch.setattr(published, "_URL", (small.parent / "nowhere").as_uri())
    with pytest.raises(BackboneError, match="cannot be downloaded"):
        published.located("nequix-mp-1")
    assert not kept.exists()
    monkeypatch.setattr(published, "_URL", small.parent.as_uri())
    small.with_name("nequix-mp-1.nqx").write_bytes(small.read_bytes())
    with pytest.raises(BackboneError, match="does not have the expected SHA-256"):
        published.located("nequix-mp-1")
    assert kept.read_bytes() == small.read_bytes()
    with pytest.raises(BackboneError, match="no such Nequix model"):
        NequixBackbone.locate("nequix-mp-2")


def test_weights_are_those_of_the_file_in_both_precisions(single, backbone):
    for (name, value), exact in zip(single.model.named_parameters(), backbone.model.parameters(), strict=True):
        assert torch.equal(value, exact.float()), name
    assert single.identity == backbone.identity
