"""One small model of NequIP goes all the way from upstream's trainer to upstream's compiled model."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest

pytest.importorskip("nequip", reason="the extra nequip is not installed")
from nequip.integrations.ase import NequIPCalculator

import equisparse
from equisparse.backbones.nequip.global_state import nequip_state
from equisparse.cli import main
from equisparse.data.demo import demo_files


@pytest.fixture(scope="module")
def base(
    tmp_path_factory: pytest.TempPathFactory, model_config: Callable[..., dict], train: Callable[..., None]
) -> Path:
    """A model that upstream's trainer trained; of one layer, since compiling takes half a minute for each."""
    path = tmp_path_factory.mktemp("trained") / "base.ckpt"
    changes = {"type_names": ["Mg", "O"], "num_layers": 1, "l_max": 1, "num_features": 8}
    energies = {"per_type_energy_shifts": {"Mg": -5.0, "O": -5.0}, "per_type_energy_scales": 1.0}
    model = model_config(model_dtype="float32", **changes, **energies)
    train(path, "nequip.train.EMALightningModule", model, max_epochs=4)
    return path


@pytest.fixture(scope="module")
def finetuned(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of our fine-tune of that model."""
    out = tmp_path_factory.mktemp("finetuned") / "run"
    words = ["finetune", "demo", "--base", str(base), "--out", str(out), "--epochs", "5", "--batch-size", "5"]
    assert main([*words, "--changed", "0.2", "--device", "cpu"]) == 0
    return out


class TestFromTrainingToDeployment:
    """A model that upstream's trainer trained is adapted by our commands and compiled by upstream's."""

    def test_fine_tuning_lowers_the_errors(self, finetuned):
        metrics = json.loads((finetuned / "metrics.json").read_text())
        error = "force_mae_mev_per_ang"
        assert metrics["final"]["test"][error] < 0.9 * metrics["refit"]["test"][error]
        assert metrics["changed_fraction_model"] == pytest.approx(0.2, rel=0.02)

    def test_evaluate_gives_the_numbers_of_the_run(self, base, finetuned, capsys):
        words = ["evaluate", str(demo_files().test), "--base", str(base), "--json"]
        capsys.readouterr()
        assert main([*words, "--adapter", str(finetuned / "adapter.safetensors"), "--device", "cpu"]) == 0
        found = json.loads(capsys.readouterr().out)
        expected = json.loads((finetuned / "metrics.json").read_text())["final"]["test"]
        assert found["stress_mae_gpa"] is expected["stress_mae_gpa"] is None
        assert found == {name: value and pytest.approx(value, rel=1e-4) for name, value in expected.items()}

    @pytest.mark.skipif(not shutil.which("g++"), reason="nequip-compile needs a C++ compiler")
    @pytest.mark.parametrize("suffix", [".ckpt", pytest.param(".nequip.zip", marks=pytest.mark.slow)])
    def test_the_compiled_merged_file_does_what_the_adapter_does(self, base, finetuned, tmp_path, suffix):
        merged, compiled = tmp_path / f"merged{suffix}", tmp_path / "compiled.nequip.pt2"
        adapter = str(finetuned / "adapter.safetensors")
        assert main(["merge", adapter, "--base", str(base), "--out", str(merged), "--device", "cpu"]) == 0
        words = [str(merged), str(compiled), "--mode", "aotinductor", "--device", "cpu", "--target", "ase"]
        command = [
            sys.executable,
            "-m",
            "nequip.scripts.compile",
            *words,
        ]  # the compiler needs an interpreter of its own
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        frames = ase.io.read(demo_files().test, ":3")
        with nequip_state():
            theirs = NequIPCalculator.from_compiled_model(compiled, chemical_species_to_atom_type_map=True)
            expected = [calculated(atoms, theirs) for atoms in frames]
        ours = equisparse.calculator(str(base), adapter, device="cpu")
        for atoms, (energy, forces, stress) in zip(frames, expected, strict=True):
            found = calculated(atoms, ours)
            assert found[0] == pytest.approx(energy, abs=1e-4)
            np.testing.assert_allclose(found[1], forces, atol=1e-4)
            np.testing.assert_allclose(found[2], stress, atol=1e-5)


def calculated(atoms, calculator):
    """Energy, forces and stress of a copy."""
    copy = atoms.copy()
    copy.calc = calculator
    return copy.get_potential_energy(), copy.get_forces(), copy.get_stress()
