"""A resumed run is bound to its frames and options, and nothing is written before a refusal."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms

import equisparse
from equisparse.adapters.adapter import Adapter
from equisparse.data.frames import LabelledFrame
from equisparse.data.identity import frame_digest
from equisparse.errors import InputError
from equisparse.quantities import ENERGY

Molecule = Callable[[int], Atoms]


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a run."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def equal(one: Adapter, other: Adapter) -> bool:
    """Whether two adapters store the same."""
    parts = [(part, other.stored[name][key]) for name, stored in one.stored.items() for key, part in stored.items()]
    return all(first.equal(second) for first, second in parts)


@pytest.fixture
def run(files: dict[str, str], options: dict[str, Any]) -> equisparse.Run:
    """A finished run on files, whose validation frames were split off."""
    return equisparse.finetune(files["train"], **options)


def refused(run: equisparse.Run, words: tuple[str, ...], train: Any, **options: Any) -> None:
    """A run that cannot be resumed; its folder stays as it is."""
    before = contents(run.folder)
    with pytest.raises(InputError) as error:
        equisparse.finetune(train, resume=True, **options)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert contents(run.folder) == before


OTHERS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "lr": ({"lr": 0.5}, ("--lr 0.5", "--lr 0.0")),
    "method": ({"method": "lowrank"}, ("--method lowrank", "--method full")),
    "optimizer": ({"optimizer": "adamw"}, ("--optimizer adamw", "--optimizer muon")),
    "targets": ({"targets": ["readout"]}, ("--targets", "read.weight")),
    "batch size": ({"batch_size": 3}, ("--batch-size 3", "--batch-size 4")),
    "seed": ({"seed": 1}, ("--seed 1", "--seed 0", "--split-seed")),
    "fraction": ({"valid_fraction": 0.5}, ("--valid-fraction 0.5", "--valid-fraction 0.1")),
    "weights": ({"force_weight": 3.0, "loss_weights": None}, ("--force-weight 3.0",)),
    "bootstrap": ({"bootstrap": True}, ("--bootstrap", "no --bootstrap")),
    "fewer epochs": ({"epochs": 1}, ("--epochs 1", "--epochs 2 or more")),
    "two": ({"lr": 0.5, "huber_delta": 0.3}, ("--lr 0.5", "--huber-delta 0.3")),
    "base": ({"base": "toy-2"}, ()),
}


@pytest.mark.parametrize(("changed", "words"), OTHERS.values(), ids=OTHERS)
def test_other_options_are_refused_by_name(
    run: equisparse.Run,
    files: dict[str, str],
    options: dict[str, Any],
    changed: dict[str, Any],
    words: tuple[str, ...],
) -> None:
    if "base" in changed:
        before = contents(run.folder)
        with pytest.raises(equisparse.StateError, match="another base model"):
            equisparse.finetune(files["train"], resume=True, **options | changed)
        assert contents(run.folder) == before
    else:
        refused(run, words, files["train"], **options | changed)


def test_options_of_a_method_are_refused_by_name(files: dict[str, str], options: dict[str, Any]) -> None:
    given = options | {"method": "sparse", "changed": 0.5, "method_options": {"rank": 2}}
    run = equisparse.finetune(files["train"], **given)
    refused(run, ("--changed 0.6", "--changed 0.5"), files["train"], **given | {"changed": 0.6})
    other = given | {"method_options": {"rank": 3}}
    refused(run, ("--method-options.rank 3", "--method-options.rank 2"), files["train"], **other)


def more(atoms: list[Atoms], molecule: Molecule) -> list[Atoms]:
    return [*atoms, molecule(50)]


def relabelled(atoms: list[Atoms], molecule: Molecule) -> list[Atoms]:
    other = [frame.copy() for frame in atoms]
    other[3].info["REF_energy"] += 0.001
    return other


FRAMES: dict[str, tuple[Callable[..., list[Atoms]], tuple[str, ...]]] = {
    "more": (more, ("other train and valid frames", "13 frames, 1 of them not in the run", "frame 12")),
    "fewer": (lambda atoms, _: atoms[:-2], ("10 frames, 0 of them", "2 of them are missing")),
    "a label": (relabelled, ("12 frames, 1 of them", "frame 3")),
    "one twice": (lambda atoms, _: [*atoms, atoms[0]], ("13 frames",)),
}


@pytest.mark.parametrize(("change", "words"), FRAMES.values(), ids=FRAMES)
def test_other_frames_are_refused(
    run: equisparse.Run,
    files: dict[str, str],
    frames: list[Atoms],
    molecule: Molecule,
    options: dict[str, Any],
    change: Callable[..., list[Atoms]],
    words: tuple[str, ...],
) -> None:
    ase.io.write(files["train"], change(frames, molecule))
    refused(run, words, files["train"], **options | {"epochs": 3})


def test_other_validation_test_and_replay_frames_are_refused(
    files: dict[str, str], valid: list[Atoms], molecule: Molecule, options: dict[str, Any], tmp_path: Path
) -> None:
    for name, seeds in (("test", range(30, 33)), ("replay", range(60, 68)), ("other", range(40, 48))):
        ase.io.write(tmp_path / f"{name}.extxyz", [molecule(seed) for seed in seeds])
    given = {"valid": files["valid"]} | {name: str(tmp_path / f"{name}.extxyz") for name in ("test", "replay")}
    run = equisparse.finetune(files["train"], **given, **options)
    for name in ("valid", "test", "replay"):
        changed = given | {name: str(tmp_path / "other.extxyz")}
        refused(run, (f"other {name} frames",), files["train"], **changed, **options)
    without = {name: path for name, path in given.items() if name != "test"}
    refused(run, ("other test frames", "3 of them are missing"), files["train"], **without, **options)


def test_more_epochs_pass_and_are_told(
    run: equisparse.Run, files: dict[str, str], options: dict[str, Any], tmp_path: Path
) -> None:
    told = Told()
    longer = equisparse.finetune(files["train"], resume=True, listener=told, **options | {"epochs": 4})
    assert [epoch.epoch for epoch in longer.curve] == [1, 2, 3, 4]
    assert any("4 epochs in place of 2" in text for text in told.notices)
    again = equisparse.finetune(files["train"], resume=True, listener=(told := Told()), **options | {"epochs": None})
    assert again.config.epochs == 4
    assert not told.notices


def test_paths_and_the_order_of_frames_do_not_matter(
    run: equisparse.Run, files: dict[str, str], frames: list[Atoms], options: dict[str, Any], tmp_path: Path
) -> None:
    ase.io.write(tmp_path / "moved.extxyz", frames[::-1])
    once = json.loads(run.files.record.read_text())
    uninterrupted = equisparse.finetune(files["train"], **options | {"epochs": 4, "out": tmp_path / "whole"})
    resumed = equisparse.finetune(str(tmp_path / "moved.extxyz"), resume=True, **options | {"epochs": 4})
    assert json.loads(run.files.record.read_text())["frames"] == once["frames"]
    assert len(resumed.curve) == len(uninterrupted.curve)
    assert [len(part) for part in once["frames"].values()] == [11, 1, 0]


def test_frames_in_memory_are_compared_before_they_are_written(
    frames: list[Atoms], valid: list[Atoms], options: dict[str, Any]
) -> None:
    run = equisparse.finetune(frames, valid=valid, **options)
    refused(run, ("other train frames",), frames[:-1], valid=valid, **options)
    refused(run, ("other test frames",), frames, valid=valid, test=valid, **options)
    assert equisparse.finetune(frames, valid=valid, resume=True, **options | {"epochs": 3}).metrics.steps == 9


def test_runs_without_a_record_go_on_and_it_is_told(
    run: equisparse.Run, files: dict[str, str], options: dict[str, Any]
) -> None:
    run.files.record.unlink()
    refused(run, ("--lr 0.5", "--lr 0.02"), files["train"], **options | {"lr": 0.5})
    refused(run, ("--method lowrank",), files["train"], **options | {"method": "lowrank"})
    told = Told()
    equisparse.finetune(files["train"], resume=True, listener=told, **options | {"epochs": 3})
    assert any("no record" in text for text in told.notices)
    assert run.files.record.exists()


FOREIGN: dict[str, tuple[dict[str, Any], str]] = {
    "method": ({"method": "lowrank"}, "the method"),
    "targets": ({"targets": ["readout"]}, "the method, its options or its targets"),
    "optimizer": ({"optimizer": "schedulefree"}, "the optimiser"),
    "epochs": ({"epochs": 1}, "2 are done, 1 asked for"),
}


@pytest.mark.parametrize(("changed", "words"), FOREIGN.values(), ids=FOREIGN)
def test_a_checkpoint_that_does_not_fit_is_refused_without_any_record(
    run: equisparse.Run, files: dict[str, str], options: dict[str, Any], changed: dict[str, Any], words: str
) -> None:
    run.files.record.unlink()
    run.files.config.unlink()
    with pytest.raises(equisparse.StateError, match=words):
        equisparse.finetune(files["train"], resume=True, **options | changed)


def test_a_damaged_checkpoint_is_refused(run: equisparse.Run, files: dict[str, str], options: dict[str, Any]) -> None:
    whole = run.files.last_checkpoint.read_bytes()
    for damaged in (b"", b"no checkpoint", whole[: len(whole) // 2], pickle.dumps([1, 2])):
        run.files.last_checkpoint.write_bytes(damaged)
        before = contents(run.folder)
        with pytest.raises(equisparse.StateError, match="cannot be read"):
            equisparse.finetune(files["train"], resume=True, **options)
        assert contents(run.folder) == before


def test_a_damaged_record_is_refused(run: equisparse.Run, files: dict[str, str], options: dict[str, Any]) -> None:
    for text in ("{", "[]", '{"epochs": 2}'):
        run.files.record.write_text(text)
        with pytest.raises(InputError, match="record of the run is damaged"):
            equisparse.finetune(files["train"], resume=True, **options)


def test_an_interrupted_run_is_named_as_such(
    run: equisparse.Run, files: dict[str, str], options: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="holds a run already"):
        equisparse.finetune(files["train"], **options)
    run.files.adapter.unlink()
    with pytest.raises(InputError, match=r"interrupted[^$]*after epoch 2 of 2[^$]*--resume[^$]*delete"):
        equisparse.finetune(files["train"], **options)
    run.files.last_checkpoint.unlink()
    equisparse.finetune(files["train"], **options)


class Told(equisparse.Listener):
    """Keeps what is told about resuming."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, topic: str, text: str) -> None:
        if topic == "resume":
            self.notices.append(text)


def test_a_digest_changes_with_everything_that_matters(molecule: Molecule) -> None:
    (frame,) = equisparse.inputs.frames.load_frames([molecule(0)])
    moved, spun, boxed = (LabelledFrame(frame.atoms.copy(), frame.labels) for _ in range(3))
    moved.atoms.positions[0, 0] += 1e-5
    spun.atoms.set_initial_magnetic_moments([1, 0, 0])
    boxed.atoms.pbc = True
    unlabelled = LabelledFrame(frame.atoms, {})
    weighted = LabelledFrame(frame.atoms, frame.labels, weights={ENERGY: 0.5})
    digests = {frame_digest(one) for one in (frame, moved, spun, boxed, unlabelled, weighted)}
    assert len(digests) == 6
    same = LabelledFrame(frame.atoms.copy(), frame.labels, "elsewhere", 7)
    same.atoms.info["comment"] = "new"
    same.atoms.positions += np.where(same.atoms.positions == 0, -0.0, 0.0)
    assert frame_digest(same) == frame_digest(frame)
