"""One small model of MACE goes all the way from upstream's trainer to upstream's tools."""

import json
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms

import equisparse
from equisparse.backbones import upstream
from equisparse.backbones.registry import load_backbone
from equisparse.cli import main
from equisparse.data.demo import demo_files
from equisparse.errors import BackboneError

pytestmark = pytest.mark.filterwarnings("ignore:The TorchScript type system:UserWarning")
with upstream.quiet_import():
    pytest.importorskip("mace.modules", reason="the extra mace is not installed", exc_type=ImportError)
    from mace.calculators import MACECalculator
    from mace.data import AtomicData, config_from_atoms
    from mace.tools import AtomicNumberTable, torch_geometric


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, run_program: Callable[..., str]) -> Path:
    """A model that upstream's trainer trained on the demo data."""
    folder = tmp_path_factory.mktemp("trained")
    for name, source in (("train", demo_files().train), ("valid", demo_files().valid)):
        ase.io.write(folder / f"{name}.extxyz", ase.io.read(source, ":40"))
    options = {
        "name": "base",
        "work_dir": folder,
        "train_file": folder / "train.extxyz",
        "valid_file": folder / "valid.extxyz",
        "E0s": "average",
        "energy_key": "REF_energy",
        "forces_key": "REF_forces",
        "model": "MACE",
        "hidden_irreps": "8x0e+8x1o",
        "r_max": 4.0,
        "max_ell": 2,
        "correlation": 2,
        "batch_size": 5,
        "max_num_epochs": 6,
        "default_dtype": "float32",
        "device": "cpu",
        "seed": 1,
        "plot": False,
    }
    run_program("mace.cli.run_train", *(f"--{name}={value}" for name, value in options.items()))
    return folder / "base.model"


@pytest.fixture(scope="module")
def finetuned(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of our fine-tune of that model."""
    out = tmp_path_factory.mktemp("finetuned") / "run"
    words = ["finetune", "demo", "--base", str(base), "--out", str(out), "--epochs", "5", "--batch-size", "5"]
    assert main([*words, "--changed", "0.2", "--targets", "all", "--device", "cpu"]) == 0
    return out


def lammps_input(atoms: Atoms, exported: torch.jit.ScriptModule) -> dict[str, torch.Tensor]:
    """Graph of a frame for a file that upstream exported for LAMMPS."""
    with upstream.default_dtype(torch.float64):
        table, cutoff = AtomicNumberTable(exported.atomic_numbers.tolist()), exported.r_max.item()
        graph = AtomicData.from_config(config_from_atoms(atoms), z_table=table, cutoff=cutoff)
        batch = next(iter(torch_geometric.dataloader.DataLoader([graph], batch_size=1))).to_dict()
    return {name: value for name, value in batch.items() if torch.is_tensor(value)}


class TestFromTrainingToDeployment:
    """A model that upstream's trainer trained is adapted by our commands and used by upstream's."""

    def test_fine_tuning_lowers_the_errors(self, finetuned):
        metrics = json.loads((finetuned / "metrics.json").read_text())
        error = "force_mae_mev_per_ang"
        assert metrics["final"]["test"][error] < 0.9 * metrics["refit"]["test"][error]
        assert metrics["changed_fraction_model"] == pytest.approx(0.2, rel=0.02)
        assert (finetuned / "merged.model").exists()

    def test_evaluate_gives_the_numbers_of_the_run(self, base, finetuned, capsys):
        words = ["evaluate", str(demo_files().test), "--base", str(base), "--json"]
        capsys.readouterr()
        assert main([*words, "--adapter", str(finetuned / "adapter.safetensors"), "--device", "cpu"]) == 0
        found = json.loads(capsys.readouterr().out)
        expected = json.loads((finetuned / "metrics.json").read_text())["final"]["test"]
        assert found["stress_mae_gpa"] is expected["stress_mae_gpa"] is None
        assert found == {name: value and pytest.approx(value, rel=1e-4) for name, value in expected.items()}

    def test_spin_layer_from_training_to_deployment(self, base, tmp_path):
        for name, numbers in (("train", ":8"), ("valid", ":2")):
            frames = ase.io.read(getattr(demo_files(), name), numbers)
            for seed, atoms in enumerate(frames):
                signs = np.random.default_rng(seed).choice([-1.0, 1.0], len(atoms))
                atoms.set_initial_magnetic_moments(2.0 * signs)
                atoms.arrays["REF_magmoms"] = signs * np.linspace(1.2, 1.8, len(atoms))
            ase.io.write(tmp_path / f"{name}.extxyz", frames)
        words = ["finetune", str(tmp_path / "train.extxyz"), "--valid", str(tmp_path / "valid.extxyz"), "--spin"]
        words += ["--base", str(base), "--out", str(tmp_path / "run"), "--epochs", "10", "--batch-size", "4"]
        assert main([*words, "--spin-lr", "0.02", "--device", "cpu"]) == 0
        final = json.loads((tmp_path / "run" / "metrics.json").read_text())["final"]["valid"]
        assert final["moment_mae_mub"] < 0.3
        atoms.calc = equisparse.calculator(str(base), tmp_path / "run" / "adapter.safetensors", device="cpu")
        assert atoms.get_magnetic_moments() == pytest.approx(atoms.arrays["REF_magmoms"], abs=0.7)

    def test_upstream_tools_take_the_merged_file(self, base, finetuned, tmp_path, run_program):
        merged, frames = tmp_path / "merged.model", ase.io.read(demo_files().test, ":3")
        adapter = str(finetuned / "adapter.safetensors")
        assert main(["merge", adapter, "--base", str(base), "--out", str(merged), "--device", "cpu"]) == 0
        ase.io.write(tmp_path / "frames.extxyz", frames)
        words = ["--configs", tmp_path / "frames.extxyz", "--model", merged, "--output", tmp_path / "out.extxyz"]
        run_program("mace.cli.eval_configs", *words, "--device", "cpu", "--default_dtype", "float32")
        ours = equisparse.calculator(str(base), adapter, device="cpu")
        for atoms, theirs in zip(frames, ase.io.read(tmp_path / "out.extxyz", ":"), strict=True):
            atoms.calc = ours
            assert theirs.info["MACE_energy"] == pytest.approx(atoms.get_potential_energy(), abs=1e-3)
            np.testing.assert_allclose(theirs.arrays["MACE_forces"], atoms.get_forces(), atol=1e-4)

    def test_export_for_lammps(self, finetuned, run_program):
        """The exported file, called as pair_style mace calls it, gives what the adapter gives in ASE."""
        merged = finetuned / "merged.model"
        run_program("mace.cli.create_lammps_model", merged)
        exported = torch.jit.load(f"{merged}-lammps.pt")
        for atoms in ase.io.read(demo_files().test, ":2"):
            found = exported(lammps_input(atoms, exported), torch.ones(len(atoms)), compute_virials=True)
            atoms.calc = equisparse.read_run(finetuned).calculator(device="cpu")
            assert found["total_energy_local"].item() == pytest.approx(atoms.get_potential_energy(), abs=1e-3)
            np.testing.assert_allclose(found["forces"].numpy(), atoms.get_forces(), atol=1e-4)
            stress = -found["virials"][0].numpy() / atoms.get_volume()
            np.testing.assert_allclose(stress, atoms.get_stress(voigt=False), atol=1e-5)

    @pytest.mark.filterwarnings("ignore:To copy construct:UserWarning", "ignore:cuequivariance_ops:UserWarning")
    def test_accelerated_forms_of_the_merged_file(self, finetuned, tmp_path, run_program):
        pytest.importorskip("cuequivariance_torch", reason="cuEquivariance is not installed")
        merged = finetuned / "merged.model"
        run_program("mace.cli.create_lammps_model", merged, "--format=mliap")
        assert Path(f"{merged}-mliap_lammps.pt").exists()
        calculators = []
        with upstream.default_dtype(torch.float32):  # the converter sets it
            for fast in (False, True):
                model = torch.load(merged, weights_only=False)
                options = {"device": "cpu", "default_dtype": "float32", "enable_cueq": fast}
                calculators.append(MACECalculator(models=[model], **options))
        for atoms in ase.io.read(demo_files().test, ":2"):
            results = []
            for atoms.calc in calculators:
                results.append((atoms.get_potential_energy(), atoms.get_forces()))
            assert results[0][0] == pytest.approx(results[1][0], abs=1e-4)
            np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-4)
        torch.save(calculators[1].models[0], tmp_path / "fast.model")
        with pytest.raises(BackboneError, match="converted for an accelerator"):
            load_backbone(str(tmp_path / "fast.model"))

    def test_the_merged_file_in_upstreams_calculator(self, base, finetuned):
        model = torch.load(finetuned / "merged.model", weights_only=False)
        theirs = MACECalculator(models=[model], device="cpu", default_dtype="float32")
        ours = equisparse.calculator(str(base), finetuned / "adapter.safetensors", device="cpu")
        for atoms in ase.io.read(demo_files().test, ":2"):
            results = []
            for calculator in (ours, theirs):
                atoms.calc = calculator
                results.append((atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()))
            (e1, f1, s1), (e2, f2, s2) = results
            assert e1 == pytest.approx(e2, abs=1e-4)
            np.testing.assert_allclose(f1, f2, atol=1e-4)
            np.testing.assert_allclose(s1, s2, atol=1e-5)
