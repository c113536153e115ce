"""An ensemble through the command line on a copy of a small model: exact, calibrated, resumable, and refused
where the base's file has changed underneath."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

import equisparse
from equisparse.adapters.ensemble_file import ENSEMBLE, Scales, read_ensemble
from equisparse.adapters.file import load_adapter, save_adapter
from equisparse.cli import main
from equisparse.config.read import read_config
from equisparse.deploy.calculator import AdaptedCalculator
from equisparse.errors import AdapterError, AdapterMismatchError, EquisparseError, InputError, StateError
from equisparse.tasks.ensemble import calibrate

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")


def labelled(seed: int) -> Atoms:
    """A strained, disturbed cell of copper with the labels of another theory."""
    generator = np.random.default_rng(seed)
    atoms = bulk("Cu") * (2, 1, 1)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + generator.normal(0, 0.03, (3, 3))), scale_atoms=True)
    atoms.positions += generator.normal(0, 0.08, atoms.positions.shape)
    atoms.calc = EMT()
    atoms.info["REF_energy"], atoms.arrays["REF_forces"] = atoms.get_potential_energy(), atoms.get_forces()
    atoms.info["REF_stress"] = atoms.get_stress()
    atoms.calc = None
    return atoms


@pytest.fixture(scope="module")
def words(small_base: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Words of a short ensemble of two members without validation files."""
    folder = tmp_path_factory.mktemp("frames")
    for name, seeds in (("train", range(10)), ("test", range(20, 24))):
        ase.io.write(folder / f"{name}.extxyz", [labelled(seed) for seed in seeds])
    base = folder / "base.pth"
    shutil.copy(small_base, base)
    options = ["--valid-fraction", "0.4", "--epochs", "2", "--batch-size", "3", "--changed", "0.01", "--seed", "7"]
    data = [str(folder / "train.extxyz"), "--test", str(folder / "test.extxyz")]
    return ["ensemble", *data, "--base", str(base), "--members", "2", "--bootstrap", "--device", "cpu", *options]


@pytest.fixture(scope="module")
def folder(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ensembles") / "ensemble"
    assert main([*words, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def base(words: list[str]) -> str:
    return words[words.index("--base") + 1]


def test_every_member_is_a_whole_run_with_its_own_seed_and_the_same_split(folder: Path) -> None:
    configs = [read_config(folder / f"member-{number}" / "config.yaml") for number in range(2)]
    assert [(config.seed, config.split_seed, config.bootstrap) for config in configs] == [(7, 7, True), (8, 7, True)]
    assert all((Path(config.out) / "report.html").exists() for config in configs)
    first, second = (load_adapter(Path(config.out) / "adapter.safetensors") for config in configs)
    assert first.shifts == second.shifts
    assert any(not torch.equal(first.stored[name]["index"], second.stored[name]["index"]) for name in first.stored)


def test_the_file_says_how_well_the_spread_fits(folder: Path) -> None:
    values = json.loads((folder / ENSEMBLE).read_text())
    assert (values["version"], set(values["members"])) == (1, {"member-0", "member-1"})
    assert set(values["numbers"]["splits"]) == {"valid", "test"}
    for quantity, scale in values["scales"].items():
        row = values["numbers"]["splits"]["valid"][quantity]
        assert scale > 0
        assert row["spread"] == pytest.approx(row["rmse"])  # what the scale was fitted for
    assert (folder / "reliability.png").stat().st_size > 10_000


def test_the_calculator_is_the_mean_of_the_members_calculators(folder: Path, base: str) -> None:
    atoms = labelled(30)
    ensemble = read_ensemble(folder)
    members = []
    for adapter in ensemble.adapters.values():
        alone = equisparse.calculator(base, adapter, device="cpu")
        members.append([alone.get_property(name, atoms) for name in ("energy", "forces", "stress")])
    together = equisparse.calculator(base, folder, device="cpu")
    assert together.scales == ensemble.scales != Scales()
    atoms.calc = together
    atoms.get_potential_energy()
    for name, values in zip(("energy", "forces", "stress"), zip(*members, strict=True), strict=True):
        np.testing.assert_allclose(together.results[name], np.mean(values, 0), rtol=1e-12, atol=1e-12)
        spread = getattr(ensemble.scales, name) * np.std(values, axis=0, ddof=1)
        np.testing.assert_allclose(together.results[f"{name}_std"], spread, rtol=1e-9, atol=1e-12)
    assert together.results["forces_std"].shape == (2, 3)
    assert together.bank.in_use is None
    together.bank.backbone.check_untouched()


def test_results_survive_a_file(folder: Path, base: str, tmp_path: Path) -> None:
    atoms = labelled(31)
    atoms.calc = equisparse.calculator(base, folder, device="cpu")
    atoms.get_potential_energy()
    ase.io.write(tmp_path / "a.extxyz", atoms)
    assert ase.io.read(tmp_path / "a.extxyz").get_potential_energy() == pytest.approx(atoms.get_potential_energy())


def test_a_bank_and_its_calculators_share_one_base(folder: Path, base: str) -> None:
    files = {f"{number}": folder / f"member-{number}" / "adapter.safetensors" for number in range(2)}
    bank = equisparse.bank(base, files, device="cpu")
    atoms = labelled(32)
    shared = [equisparse.calculator(bank, name) for name in files]
    energies = [calculator.get_potential_energy(atoms) for calculator in (*shared, *shared)]
    assert energies[:2] == energies[2:]
    for file, energy in zip(files.values(), energies, strict=False):
        assert equisparse.calculator(base, file, device="cpu").get_potential_energy(atoms) == energy
    untouched = AdaptedCalculator(bank.backbone).get_potential_energy(atoms)
    assert untouched == equisparse.calculator(base, device="cpu").get_potential_energy(atoms)
    with pytest.raises(InputError, match="no adapter of this name"):
        equisparse.calculator(bank, "2")


@pytest.mark.slow
def test_finished_members_are_kept_when_an_ensemble_is_resumed(
    folder: Path, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "again"
    shutil.copytree(folder, out)
    kept = (out / "member-0" / "adapter.safetensors").read_bytes()
    (out / ENSEMBLE).unlink()
    (out / "member-1" / "report.html").unlink()
    assert main([*words, "--out", str(out)]) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert main([*words, "--out", str(out), "--resume"]) == 0
    assert "member 1 of 2, seed 7: finished before" in capsys.readouterr().out
    assert (out / "member-0" / "adapter.safetensors").read_bytes() == kept
    whole, again = (read_ensemble(path) for path in (folder, out))
    assert whole.scales == again.scales


def test_a_member_that_is_not_the_calibrated_one_is_refused(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "mixed"
    shutil.copytree(folder, out)
    shutil.copy(folder / "member-1" / "adapter.safetensors", out / "member-0")
    with pytest.raises(AdapterError, match="has changed since the calibration"):
        read_ensemble(out)


def test_selected_frames_are_uncertain_and_unlike_the_training_frames(folder: Path, tmp_path: Path) -> None:
    pool = [labelled(seed) for seed in range(5, 15)]  # the first five were trained on
    rows = equisparse.select_frames(pool, folder, n=4, shortlist=2, device="cpu", out=tmp_path / "next.extxyz")
    assert len(rows) == 4
    assert all(row.index >= 5 and row.distance_ang > 0.02 for row in rows)
    assert all(row.rank is not None and row.rank <= 8 for row in rows)
    assert "rank" in rows[0].reason
    calculator = equisparse.calculator(read_config(folder / "member-0" / "config.yaml").base, read_ensemble(folder))
    spread = calculator.get_property("forces_std", pool[rows[0].index])
    assert rows[0].force_std_mev_per_ang == pytest.approx(1e3 * np.sqrt(np.square(spread).mean(1)).max(), rel=1e-3)
    written = ase.io.read(tmp_path / "next.extxyz", ":")
    assert [atoms.info["pool_index"] for atoms in written] == [row.index for row in rows]
    assert all(atoms.calc is None and "REF_forces" not in atoms.arrays for atoms in written)


def test_exploration_stops_where_the_members_disagree(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ase.io.write(tmp_path / "start.extxyz", labelled(50))
    words = ["explore", str(folder), "--structure", str(tmp_path / "start.extxyz"), "--steps", "20", "--every", "4"]
    words += ["--out", str(tmp_path / "next.extxyz"), "--trajectory", str(tmp_path / "pool.extxyz"), "--device", "cpu"]
    assert main([*words, "--limit", "1e-6", "--runs", "2"]) == 0
    assert "uncertain" in capsys.readouterr().out
    written = ase.io.read(tmp_path / "next.extxyz", ":")
    assert [atoms.info["picoseconds"] for atoms in written] == [0.0, 0.0]
    assert written[0].info["reason"].startswith("uncertain after 0.000 ps: force spread")
    assert written[0].calc is None
    capsys.readouterr()
    assert main([*words, "--limit", "1e9", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [run["stop"] for run in printed["runs"]] in ([""], ["too hot"])
    pool = ase.io.read(tmp_path / "pool.extxyz", ":")
    ensemble = equisparse.EnsembleRun(folder, ())
    rows = equisparse.select_frames(pool, ensemble, n=1, device="cpu")
    spread = max(atoms.info["force_std"] for atoms in pool)
    assert rows[0].force_std_mev_per_ang == pytest.approx(1e3 * spread, rel=1e-3), "select measures the same spread"
    assert equisparse.explore(ensemble, pool[0], steps=10, device="cpu").limit_mev_per_ang > 0
    with pytest.raises(InputError, match="single run"):
        equisparse.explore(folder / "member-0", pool[0])


def test_a_single_run_selects_by_distance(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pool = tmp_path / "pool.extxyz"
    ase.io.write(pool, [labelled(seed) for seed in (0, 30, 31)])
    words = [str(pool), "--run", str(folder / "member-0"), "--n", "3", "--out", str(tmp_path / "next.extxyz")]
    assert main(["select", *words]) == 0
    printed = capsys.readouterr().out
    assert "2 of 3 frames" in printed
    assert "uncertainty" not in printed
    assert len(ase.io.read(tmp_path / "next.extxyz", ":")) == 2


@pytest.fixture
def altered(base: str, tmp_path: Path) -> str:
    """The base's file with one weight changed, under the same name."""
    contents = torch.load(base, weights_only=False, map_location="cpu")
    weight = next(value for name, value in contents["model_state_dict"].items() if name.endswith("linear.weight"))
    weight.view(-1)[0] += 1e-3
    torch.save(contents, tmp_path / "base.pth")
    return str(tmp_path / "base.pth")


def commands(folder: Path, frames: str) -> dict[str, list[str]]:
    """Commands that need the base of a run."""
    run, device = folder / "member-0", ["--device", "cpu"]
    adapter = str(run / "adapter.safetensors")
    return {
        "evaluate": ["evaluate", frames, "--adapter", adapter, *device],
        "merge": ["merge", adapter, "--out", str(folder / "m.pth"), *device],
        "resume": ["finetune", "--config", str(run / "config.yaml"), "--resume"],
        "combine": ["combine", adapter, "--weights", "1", "--out", str(folder / "c.safetensors"), *device],
    }


@pytest.mark.parametrize("name", ["evaluate", "merge", "resume", "combine"])
def test_a_base_file_that_changed_underneath_is_refused(
    name: str, folder: Path, words: list[str], altered: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*commands(folder, words[1])[name], "--base", altered]) == 2
    told = capsys.readouterr().err
    assert "another base model" in told
    assert "next step" in told
    assert not (folder / "m.pth").exists()
    assert not (folder / "c.safetensors").exists()


def test_the_other_members_are_not_trained_on_another_base(
    folder: Path, words: list[str], altered: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ensemble"
    shutil.copytree(folder / "member-0", out / "member-0")
    on_altered = [altered if word == words[words.index("--base") + 1] else word for word in words]
    assert main([*on_altered, "--out", str(out), "--resume"]) == 2
    assert "another base model" in capsys.readouterr().err
    assert not (out / "member-1" / "checkpoints").exists()


def test_members_of_two_bases_are_not_calibrated(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "mixed"
    shutil.copytree(folder, out)
    (out / ENSEMBLE).unlink()
    path = out / "member-1" / "adapter.safetensors"
    adapter = load_adapter(path)
    save_adapter(replace(adapter, base=dict(adapter.base) | {"sha256": "1" * 64}), path)
    with pytest.raises(AdapterMismatchError, match="another base model"):
        calibrate(out, ["member-0", "member-1"])
    assert not (out / ENSEMBLE).exists()


def test_attribution_reads_the_base_again_and_refuses_it(
    folder: Path, base: str, altered: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(folder / "member-0", run)
    config = run / "config.yaml"
    config.write_text(config.read_text().replace(base, altered))
    assert main(["attribute", str(run), "--device", "cpu"]) == 2
    assert "another base model" in capsys.readouterr().err


MAKERS: dict[str, Callable[[Any, Path], object]] = {
    "ensemble": lambda base, folder: equisparse.calculator(base, folder, device="cpu"),
    "adapter": lambda base, folder: equisparse.calculator(base, folder / "member-0/adapter.safetensors", device="cpu"),
    "bank": lambda base, folder: equisparse.bank(base, {"a": folder / "member-0/adapter.safetensors"}, device="cpu"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_from_python_too(name: str, folder: Path, altered: str) -> None:
    with pytest.raises(AdapterMismatchError, match="another base model"):
        MAKERS[name](altered, folder)


@pytest.mark.parametrize("name", MAKERS)
def test_a_base_in_memory_that_has_an_adapter_already_is_refused(name: str, folder: Path, base: str) -> None:
    loaded = equisparse.load_backbone(base, device="cpu")
    equisparse.calculator(loaded, folder / "member-1" / "adapter.safetensors")
    with pytest.raises(StateError, match="not as it was loaded"):
        MAKERS[name](loaded, folder)


def test_what_cannot_be_an_ensemble_is_refused(folder: Path, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least two members"):
        equisparse.calculator("7net-0", [folder / "member-0" / "adapter.safetensors"])
    with pytest.raises(EquisparseError, match="no ensemble in this folder"):
        equisparse.calculator("7net-0", tmp_path)
    with pytest.raises(InputError, match="--members is out of range"):
        equisparse.EnsembleConfig(train=["demo"], members=1)
