"""Labels from a file to a model: names per frame, weights, counts, and frames without labels, through the commands."""

from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from equisparse.cli import main
from equisparse.data.demo import demo_files
from equisparse.run.folder import read_run

Change = Callable[[int, Atoms], None]


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Change], str]:
    """Write eight frames of MgO, each changed by a function of its index, and return the name of the file."""
    folder = tmp_path_factory.mktemp("labels")

    def written(name: str, change: Change) -> str:
        frames = ase.io.read(demo_files().train, ":8")
        for index, atoms in enumerate(frames):
            change(index, atoms)
        ase.io.write(folder / name, frames, format="extxyz")
        return str(folder / name)

    return written


def finetuned(train: str, valid: str, base: str, out: Path) -> int:
    """Exit code of one epoch."""
    options = ["--batch-size", "4", "--anchor", "0", "--epochs", "1", "--device", "cpu", "--force"]
    return main(["finetune", train, "--valid", valid, "--base", base, "--out", str(out), *options])


def test_a_label_with_weight_zero_is_as_good_as_none(
    write: Callable[[str, Change], str], small_base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def placeholder(index: int, atoms: Atoms) -> None:
        if index % 2:
            atoms.info |= {"REF_energy": 999.0, "config_energy_weight": 0.0}

    def removed(index: int, atoms: Atoms) -> None:
        if index % 2:
            del atoms.info["REF_energy"]

    valid = write("valid.xyz", lambda index, atoms: None)
    metrics = []
    for name, change in (("placeholder", placeholder), ("removed", removed)):
        assert finetuned(write(f"{name}.xyz", change), valid, small_base, tmp_path / name) == 0
        metrics.append(read_run(tmp_path / name).metrics)
    assert metrics[0].final == metrics[1].final
    shown = capsys.readouterr().out
    assert "energy 4 as REF_energy (4 with weight 0, not used), forces 8 as REF_forces" in shown
    assert "energy 8 as REF_energy, forces 8 as REF_forces" in shown


def test_weights_of_frames_reach_the_training(
    write: Callable[[str, Change], str], small_base: str, tmp_path: Path
) -> None:
    valid = write("valid.xyz", lambda index, atoms: None)
    light = write("light.xyz", lambda index, atoms: atoms.info.update(config_weight=0.01 if index % 2 else 1.0))
    results = []
    for name, train in (("plain", valid), ("light", light)):
        assert finetuned(train, valid, small_base, tmp_path / name) == 0
        results.append(read_run(tmp_path / name).metrics)
    assert results[0].refit == results[1].refit
    assert results[0].final["train"] != results[1].final["train"]


def test_evaluate_finds_names_per_frame_and_prints_them(
    write: Callable[[str, Change], str], small_base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def renamed(index: int, atoms: Atoms) -> None:
        if index % 2:
            atoms.info["dft_energy"] = atoms.info.pop("REF_energy")
            atoms.arrays["force"] = atoms.arrays.pop("REF_forces")
        else:
            atoms.arrays["force"] = np.array(atoms.arrays["REF_forces"])

    tables = []
    for name, change in (("plain.xyz", lambda index, atoms: None), ("mixed.xyz", renamed)):
        assert main(["evaluate", write(name, change), "--base", small_base, "--device", "cpu"]) == 0
        tables.append(capsys.readouterr().out.partition("\n"))
    assert tables[0][2] == tables[1][2]
    assert "energy 8 as REF_energy (4) and dft_energy (4), forces 8 as REF_forces (4) and force (4)" in tables[1][0]


def test_evaluate_needs_labels(
    write: Callable[[str, Change], str], small_base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def stripped(index: int, atoms: Atoms) -> None:
        atoms.info["total_energy"] = atoms.info.pop("REF_energy")
        del atoms.arrays["REF_forces"]

    assert main(["evaluate", write("bare.xyz", stripped), "--base", small_base, "--device", "cpu"]) == 2
    shown = capsys.readouterr()
    assert "None of the 8 frames has a label to compare with" in shown.err
    assert "not read: total_energy (8)" in shown.out
    failed = write("nan.xyz", lambda index, atoms: atoms.info.update(REF_energy=np.nan if index == 3 else -1.0))
    assert main(["evaluate", failed, "--base", small_base, "--device", "cpu"]) == 2
    assert "frame 3: the energy label is NaN or infinite" in capsys.readouterr().err
