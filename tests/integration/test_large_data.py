"""Frames on the disk, graphs built by a loader process, and batches by work: the same results as with all in memory."""

from collections.abc import Callable
from pathlib import Path

import ase.db
import ase.io
import pytest
import torch

import equisparse
from equisparse.data.kept import kept
from equisparse.errors import DataError, InputError

Finetune = Callable[..., equisparse.Run]


@pytest.fixture(scope="module")
def finetuned(small_base: str, frames: dict[str, str]) -> Finetune:
    """Function that makes a short fine-tune and gives its run."""

    def make(out: Path, **options: object) -> equisparse.Run:
        splits = {"train": frames["train"], "valid": frames["valid"], "test": frames["test"]} | {
            name: options.pop(name) for name in ("train", "valid") if name in options
        }
        return equisparse.finetune(
            **splits, base=small_base, device="cpu", out=out, report=False, batch_size=3, **{"epochs": 2, **options}
        )

    return make


@pytest.fixture(scope="module")
def usual(finetuned: Finetune, tmp_path_factory: pytest.TempPathFactory) -> equisparse.Run:
    """A run with everything in memory."""
    return finetuned(tmp_path_factory.mktemp("usual") / "run")


def outcome(run: equisparse.Run) -> tuple[list[dict[str, float]], list[bytes]]:
    """Learning curve without times, and the tensors of the adapter."""
    curve = [{name: value for name, value in epoch.to_dict().items() if name != "seconds"} for epoch in run.curve]
    tensors = [tensor for block in run.adapter.stored.values() for tensor in block.values()]
    return curve, [tensor.contiguous().view(torch.uint8).numpy().tobytes() for tensor in tensors]


def test_frames_on_the_disk_and_graphs_of_a_loader_process_change_nothing(
    finetuned: Finetune, usual: equisparse.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "__defaults__", (0,))
    assert outcome(finetuned(tmp_path / "run", cache=0.0, workers=1)) == outcome(usual)


def test_a_split_of_frames_on_the_disk_is_resumed(
    finetuned: Finetune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "__defaults__", (0,))
    shared = {"valid": None, "max_atoms": 17, "cache": 0.0}
    first = finetuned(tmp_path / "run", **shared, epochs=1)
    assert first.metrics.steps == 4  # seven frames of eight atoms, two per batch
    (tmp_path / "run" / "adapter.safetensors").unlink()
    assert len(finetuned(tmp_path / "run", **shared, resume=True).curve) == 2


def test_batches_by_edges(finetuned: Finetune, tmp_path: Path) -> None:
    assert finetuned(tmp_path / "run", max_edges=10**6).metrics.steps == 2 * 3
    with pytest.raises(InputError, match="more edges than a batch may have"):
        finetuned(tmp_path / "small", max_edges=10)


def test_aselmdb_is_trained_on_and_one_without_labels_is_refused(
    finetuned: Finetune, usual: equisparse.Run, frames: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("ase_db_backends")
    with ase.db.connect(tmp_path / "a.aselmdb") as labelled, ase.db.connect(tmp_path / "b.aselmdb") as bare:
        for atoms in ase.io.read(frames["train"], ":"):
            forces, energy = atoms.arrays.pop("REF_forces"), atoms.info["REF_energy"]
            labelled.write(atoms, REF_energy=energy, data={"REF_forces": forces})
            bare.write(atoms)
    assert outcome(finetuned(tmp_path / "run", train=str(tmp_path / "a.aselmdb"))) == outcome(usual)
    with pytest.raises(DataError, match="audit found errors"):
        finetuned(tmp_path / "bare", train=str(tmp_path / "b.aselmdb"))
