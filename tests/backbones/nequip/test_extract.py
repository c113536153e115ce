"""Checkpoints that ``nequip-train`` fine-tuned become adapters, which merge into those checkpoints."""

import pytest
import torch

pytest.importorskip("nequip", reason="the extra nequip is not installed")

import equisparse
from equisparse.backbones.registry import load_backbone
from equisparse.errors import AdapterMismatchError, InputError

PLAIN = "nequip.train.NequIPLightningModule"


def test_extract_then_merge_gives_the_checkpoint(checkpoint, train, oxides, tmp_path):
    base, tuned = checkpoint("plain"), tmp_path / "tuned.ckpt"
    model = {"_target_": "nequip.model.ModelFromCheckpoint", "checkpoint_path": str(base)}
    train(tuned, PLAIN, model, max_steps=2)
    options = {"dtype": "float64", "device": "cpu", "frames": oxides}
    found = equisparse.extract(str(base), tuned, **options)
    assert found.check.equal
    assert found.changed.of_model > 0.5
    merged = equisparse.merge(str(base), found.adapter, tmp_path / "merged.ckpt", **options).path
    ours, theirs = (load_backbone(str(path), dtype="float64").model.state_dict() for path in (merged, tuned))
    assert sum(int((ours[key] != value).sum()) for key, value in theirs.items()) == found.rounding.inexact
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-14, atol=1e-14)


def test_any_model_with_reference_energies(checkpoint, name, shifts, oxides, tmp_path):
    base, tuned = checkpoint(name), tmp_path / "tuned.ckpt"
    other = load_backbone(str(base), dtype="float64")
    layout = other.layout()
    with torch.no_grad():
        other.model.get_parameter(layout.tensors[0]).mul_(1.01)
    given = dict.fromkeys(shifts, 1.5) if name == "one-reference" else shifts
    other.save_native(tuned, given)
    found = equisparse.extract(str(base), tuned, dtype="float64", device="cpu", frames=oxides)
    assert found.adapter.shifts == pytest.approx(given)
    assert found.changed.count == layout.size_of(layout.tensors[0])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"r_max": 3.5}, "cutoff: 3.5 Angstrom"),
        ({"avg_num_neighbors": 11.0}, "other constants"),
        ({"per_type_energy_scales": {"Al": 1.5, "Mg": 1.6, "O": 1.8}}, "per_type_energy_scale_shift.scales"),
        ({"num_layers": 2, "num_features": [8, 4, 4]}, "another network"),
        ({"type_names": ["Mg", "Al", "O"]}, "elements: 3 elements .Mg Al O."),
    ],
)
def test_what_an_adapter_cannot_carry_is_refused_by_name(
    checkpoint, model_config, write_checkpoint, oxides, tmp_path, changes, words
):
    write_checkpoint(tmp_path / "other.ckpt", model_config(**changes))
    with pytest.raises(AdapterMismatchError, match=words):
        equisparse.extract(
            str(checkpoint("plain")), tmp_path / "other.ckpt", dtype="float64", device="cpu", frames=oxides
        )


def test_the_base_itself_is_refused(checkpoint, oxides):
    with pytest.raises(InputError, match="does not differ from the base"):
        equisparse.extract(str(checkpoint("plain")), checkpoint("plain"), dtype="float64", device="cpu", frames=oxides)
