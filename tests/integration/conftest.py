"""A small model of SevenNet and small files of frames, for tests of everything around a model: files, steps, words.

What depends on a real foundation model is tested on 7net-0, in tests/integration/test_finetune.py and
tests/backbones.
"""

import json
from collections.abc import Callable
from pathlib import Path

import ase.io
import pytest
import torch
from ase.data import chemical_symbols

from equisparse.cli import main
from equisparse.data.demo import demo_files
from equisparse.run.folder import read_run

N_ELEMENTS = 94


@pytest.fixture(scope="session")
def small_base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Checkpoint file of an untrained model of all elements: a fine-tune of it takes a fifth of the time of 7net-0."""
    from sevenn import _const as const
    from sevenn import _keys as keys
    from sevenn.model_build import build_E3_equivariant_model

    path = tmp_path_factory.mktemp("base") / "small.pth"
    config = const.DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG | {
        keys.NODE_FEATURE_MULTIPLICITY: 16,
        keys.LMAX: 2,
        keys.NUM_CONVOLUTION: 2,
        keys.CONVOLUTION_WEIGHT_NN_HIDDEN_NEURONS: [16],
        keys.CUTOFF: 4.0,
        keys.CONV_DENOMINATOR: [5.0, 5.0],
        keys.CHEMICAL_SPECIES_BY_ATOMIC_NUMBER: list(range(1, N_ELEMENTS + 1)),
        keys.CHEMICAL_SPECIES: [chemical_symbols[z] for z in range(1, N_ELEMENTS + 1)],
        keys.NUM_SPECIES: N_ELEMENTS,
        keys.TYPE_MAP: {z: z - 1 for z in range(1, N_ELEMENTS + 1)},
        keys.SELF_CONNECTION_TYPE: "linear",
        keys.USE_SPECIES_WISE_SHIFT_SCALE: True,
        keys.SHIFT: [-4.0] * N_ELEMENTS,
        keys.SCALE: [100.0] * N_ELEMENTS,
        keys.MODEL_TYPE: "E3_equivariant_model",
        "version": "0.12.0",
    }
    with torch.random.fork_rng():
        torch.manual_seed(3)  # its forces have the sign of those of the frames here, as the audit demands
        model = build_E3_equivariant_model(config)
    torch.save({"model_state_dict": model.state_dict(), "config": config, "epoch": 1}, path)
    return str(path)


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
