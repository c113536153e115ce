"""A checkpoint that SevenNet's own trainer fine-tuned becomes an adapter, which merges into that checkpoint."""

import json
from collections.abc import Callable
from pathlib import Path

import ase.io
import pytest
import torch
import yaml
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

pytest.importorskip("sevenn", reason="the extra sevennet is not installed")

import equisparse
from equisparse.cli import main
from equisparse.data.demo import demo_files
from equisparse.errors import AdapterMismatchError, InputError

BASE = "7net-0"
SEVENN = "sevenn.main.sevenn"


def frame(atoms: Atoms) -> Atoms:
    """A frame with its labels where upstream reads them."""
    plain = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    plain.calc = SinglePointCalculator(plain, energy=atoms.info["REF_energy"], forces=atoms.arrays["REF_forces"])
    return plain


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory: pytest.TempPathFactory, run_program: Callable[..., str]) -> Path:
    """Checkpoint of one step of upstream's fine-tune on one frame, by its command line and with its preset."""
    folder = tmp_path_factory.mktemp("upstream")
    ase.io.write(folder / "train.extxyz", frame(ase.io.read(demo_files().train, "0")))
    values = yaml.safe_load(run_program(SEVENN, "preset", "fine_tune"))
    values["train"] |= {"epoch": 1, "per_epoch": 1, "is_train_stress": False}
    values["data"] = {
        "batch_size": 1,
        "data_format_args": {"index": ":"},
        "load_trainset_path": [str(folder / "train.extxyz")],
        "load_validset_path": [str(folder / "train.extxyz")],
    }
    (folder / "input.yaml").write_text(yaml.safe_dump(values))
    run_program(SEVENN, "train", "-s", "-w", folder, folder / "input.yaml")
    return folder / "checkpoint_1.pth"


def test_extract_then_merge_gives_the_checkpoint(
    finetuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "adapter.safetensors"
    assert main(["extract", BASE, str(finetuned), "--out", str(out), "--device", "cpu", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["check"]["equal"]
    assert found["changed"]["of_model"] > 0.9
    assert {"linear", "radial", "other"} <= {total["key"][0] for total in found["per_role"]}  # other: Bessel roots
    assert found["rounding"]["inexact"] < 0.01 * found["changed"]["count"]
    assert main(["inspect", str(out)]) == 0
    assert "extracted from" in capsys.readouterr().out

    merged = equisparse.merge(BASE, out, tmp_path / "merged.pth", device="cpu").path
    ours, theirs = (equisparse.load_backbone(str(path)).model.state_dict() for path in (merged, finetuned))
    off = sum(int((ours[name] != value).sum()) for name, value in theirs.items())
    assert off == found["rounding"]["inexact"]
    assert max(float((ours[name] - value).abs().max()) for name, value in theirs.items() if value.numel()) < 1e-8


def test_few_changed_entries_and_references_are_carried_bit_for_bit(small_base: str, tmp_path: Path) -> None:
    base = equisparse.load_backbone(small_base)
    other, path = equisparse.load_backbone(small_base), tmp_path / "tuned.pth"
    with torch.no_grad():
        other.model.get_parameter("1_self_interaction_1.linear.weight")[:100] *= 1.25
        other.model.get_parameter("rescale_atomic_energy.scale")[:3] *= 1.1
    other.save_native(path, {8: 0.5, 12: -1.0})
    found = equisparse.extract(base, path, out=tmp_path / "adapter.safetensors")
    assert found.adapter.format.name == "entries"
    assert (found.changed.count, found.rounding.inexact) == (103, 0)
    assert found.adapter.shifts == pytest.approx({8: 0.5, 12: -1.0}, abs=1e-5)
    merged = equisparse.merge(base, tmp_path / "adapter.safetensors", tmp_path / "merged.pth").path
    ours, theirs = (equisparse.load_backbone(str(file)) for file in (merged, path))
    assert ours.identity.sha256 == theirs.identity.sha256


def test_the_base_itself_and_swapped_files_are_refused(finetuned: Path, tmp_path: Path) -> None:
    base = equisparse.load_backbone(BASE)
    base.save_native(tmp_path / "base.pth", {})
    with pytest.raises(InputError, match="does not differ from the base"):
        equisparse.extract(base, tmp_path / "base.pth")
    with pytest.raises(InputError, match="base and checkpoint swapped"):
        equisparse.extract(str(finetuned), BASE, device="cpu")


def test_another_network_is_refused(finetuned: Path, tmp_path: Path) -> None:
    contents = torch.load(finetuned, map_location="cpu", weights_only=False)
    contents["config"]["cutoff"] = 5.5
    torch.save(contents, tmp_path / "other.pth")
    with pytest.raises(AdapterMismatchError, match=r"cutoff: 5\.5 Angstrom, in the base 5 Angstrom"):
        equisparse.extract(BASE, tmp_path / "other.pth", device="cpu")
