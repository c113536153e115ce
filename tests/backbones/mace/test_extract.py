"""Checkpoints of MACE that were changed elsewhere become adapters, which merge into those checkpoints."""

from pathlib import Path

import numpy as np
import pytest
import torch

import equisparse
from equisparse.backbones import upstream
from equisparse.errors import AdapterMismatchError, InputError

pytestmark = pytest.mark.filterwarnings("ignore:The TorchScript type system:UserWarning")
with upstream.quiet_import():
    pytest.importorskip("mace.modules", reason="the extra mace is not installed", exc_type=ImportError)
    from mace.modules import lora
    from mace.tools import AtomicNumberTable
    from mace.tools.finetuning_utils import load_foundations_elements

NAMES = ("no-scale", "heads", "density")
REFERENCES = "atomic_energies_fn.atomic_energies"


def changed(source: Path, path: Path, references: bool = True) -> Path:
    """Copy of a model with other weights, and with other reference energies of its last head."""
    model, generator = torch.load(source, weights_only=False), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.mul_(1 + 0.01 * noise.to(parameter.dtype))
        if references:
            torch.atleast_2d(model.get_buffer(REFERENCES))[-1] += torch.tensor([0.25, -1.5, 0.0])
    torch.save(model, path)
    return path


@pytest.mark.parametrize(
    ("name", "stored"), [("scale-shift", torch.float32), *((name, torch.float64) for name in NAMES)]
)
def test_extract_then_merge_gives_the_checkpoint(name, head_of, model_file, oxides, tmp_path, stored):
    source, dtype = model_file(name, stored), str(stored).removeprefix("torch.")
    tuned = changed(source, tmp_path / "tuned.model")
    options = {"dtype": dtype, "modality": head_of(name), "device": "cpu"}
    found = equisparse.extract(str(source), tuned, frames=oxides, **options)
    assert found.check.equal
    assert found.changed.of_model > 0.9
    assert found.adapter.shifts == pytest.approx({8: 0.25, 12: -1.5}, abs=1e-6)
    merged = equisparse.merge(str(source), found.adapter, tmp_path / "merged.model", frames=oxides, **options).path
    ours, theirs = (torch.load(path, weights_only=False).state_dict() for path in (merged, tuned))
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key], value, rtol=2e-7 if stored is torch.float32 else 1e-15, atol=1e-9)
    off = sum(int((ours[key] != value).sum()) for key, value in theirs.items() if key != REFERENCES)
    assert off == found.rounding.inexact


def test_references_of_other_heads_are_named(model_file, heads, oxides, tmp_path):
    tuned = changed(model_file("heads"), tmp_path / "tuned.model")
    found = equisparse.extract(
        str(model_file("heads")), tuned, frames=oxides, dtype="float64", modality=heads[0], device="cpu"
    )
    assert found.adapter.shifts == {}
    assert found.left_out.startswith("2 reference energies of other modalities")


@pytest.mark.parametrize("name", ["scale-shift", "density"])
def test_a_checkpoint_of_fewer_elements_gets_those_of_the_base(name, model_file, build, oxides, tmp_path):
    source, part = model_file(name), tmp_path / "part.model"
    build(part, name, num_elements=2, atomic_numbers=[8, 12], atomic_energies=np.array([[-3.5, -1.0]]))
    model = load_known_elements(torch.load(part, weights_only=False), torch.load(source, weights_only=False))
    torch.save(model, tmp_path / "same.model")
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.mul_(1.0 if "bessel" in key else 1.01)  # upstream makes a parameter of this constant
    torch.save(model, part)
    known = [atoms for atoms in oxides if 13 not in atoms.numbers]
    options = {"dtype": "float64", "device": "cpu", "frames": known}
    untrained = equisparse.extract(str(source), tmp_path / "same.model", **options)
    assert untrained.changed.count == 0  # rounding is no change
    assert untrained.adapter.shifts == {8: -0.5}
    found = equisparse.extract(str(source), part, **options)
    assert found.check.equal
    assert found.kept_elements == (13,)
    base, embedding = torch.load(source, weights_only=False), "node_embedding.linear.weight"
    ratios = (found.adapter.weights(base)[embedding] / base.get_parameter(embedding)).detach().view(3, -1)
    torch.testing.assert_close(ratios[:2], torch.full_like(ratios[:2], 1.01))
    assert (ratios[2] == 1).all()


def load_known_elements(model: torch.nn.Module, base: torch.nn.Module) -> torch.nn.Module:
    """Model of fewer elements with the weights of a base, written by upstream."""
    table = AtomicNumberTable([int(z) for z in model.atomic_numbers])
    with upstream.default_dtype(torch.float64):
        return load_foundations_elements(model, base, table, load_readout=True, max_L=1)


def test_low_rank_layers_are_refused_until_they_are_merged(model_file, oxides, tmp_path):
    source = model_file("scale-shift")
    with upstream.default_dtype(torch.float64):
        model = lora.inject_LoRAs(torch.load(source, weights_only=False), rank=2, alpha=4)
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if "lora_" in key:
                    parameter.add_(0.05)
        torch.save(model, tmp_path / "lora.model")
        options = {"frames": oxides, "dtype": "float64", "device": "cpu"}
        with pytest.raises(AdapterMismatchError, match="merge_lora_weights"):
            equisparse.extract(str(source), tmp_path / "lora.model", **options)
        torch.save(lora.merge_lora_weights(model), tmp_path / "plain.model")
    found = equisparse.extract(str(source), tmp_path / "plain.model", **options)
    assert found.check.equal


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"r_max": 5.0}, "cutoff: 5 Angstrom"),
        ({"avg_num_neighbors": 9}, "avg_num_neighbors: 9, in the base 8"),
        ({"radial_MLP": [16, 8]}, "another network"),
        ({"atomic_numbers": [8, 12, 26]}, "elements: 3 elements .O Mg Fe."),
        ({"atomic_inter_scale": [2.0]}, "scale_shift.scale: 2, in the base 1.2"),
    ],
)
def test_what_an_adapter_cannot_carry_is_refused_by_name(build, model_file, oxides, tmp_path, changes, words):
    build(tmp_path / "other.model", "scale-shift", **changes)
    with pytest.raises(AdapterMismatchError, match=words):
        equisparse.extract(str(model_file("scale-shift")), tmp_path / "other.model", frames=oxides, device="cpu")


def test_the_base_itself_is_refused(model_file, oxides, tmp_path):
    with pytest.raises(InputError, match="does not differ from the base"):
        equisparse.extract(str(model_file("scale-shift")), model_file("scale-shift"), frames=oxides, device="cpu")
