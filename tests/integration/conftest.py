"""Small files of frames, and words of a fine-tune of them.

Most tests here are about what happens around a model (files, steps, messages) and take `small_base` of
tests/conftest.py. What depends on a foundation model is tested on 7net-0, in test_finetune.py and tests/backbones.
"""

import json
from collections.abc import Callable
from pathlib import Path

import ase.io
import pytest

import equisparse
from equisparse.cli import main
from equisparse.data.demo import demo_files
from equisparse.run.folder import read_run


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Small train, valid and test files of real DFT frames."""
    folder = tmp_path_factory.mktemp("frames")
    demo = demo_files()
    files = {}
    for name, source, count in (("train", demo.train, 8), ("valid", demo.valid, 4), ("test", demo.test, 4)):
        files[name] = str(folder / f"{name}.extxyz")
        ase.io.write(files[name], ase.io.read(source, f":{count}"))
    return files


@pytest.fixture(scope="session")
def command(frames: dict[str, str]) -> Callable[..., list[str]]:
    """Function that gives the words of a short fine-tune, of the folder of its results and further words."""

    def words(out: Path, *more: str) -> list[str]:
        splits = [frames["train"], "--valid", frames["valid"], "--test", frames["test"]]
        return ["finetune", *splits, "--out", str(out), "--batch-size", "4", "--device", "cpu", *more]

    return words


@pytest.fixture(scope="session")
def small_run(small_base: str, frames: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> equisparse.Run:
    """A run of one epoch on the small base, with reference energies of Mg and O and without a report."""
    return equisparse.finetune(
        frames["train"],
        valid=frames["valid"],
        base=small_base,
        method=equisparse.Sparse(changed=0.05),
        epochs=1,
        anchor=0,
        device="cpu",
        out=tmp_path_factory.mktemp("small") / "run",
        report=False,
        force=True,
    )


@pytest.fixture
def evaluates_alike(frames: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Callable[[Path], None]:
    """Function that asserts that ``evaluate`` gives the errors that stand in the folder of a run."""

    def check(run: Path) -> None:
        base = read_run(run).config.base
        words = ["evaluate", frames["test"], "--base", base, "--device", "cpu", "--json"]
        capsys.readouterr()
        assert main([*words, "--adapter", str(run / "adapter.safetensors")]) == 0
        found = json.loads(capsys.readouterr().out)
        expected = json.loads((run / "metrics.json").read_text())["final"]["test"]
        assert found["stress_mae_gpa"] is expected["stress_mae_gpa"] is None
        assert found == {name: value and pytest.approx(value, rel=1e-4) for name, value in expected.items()}

    return check
