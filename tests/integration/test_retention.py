"""Staying close to the base: replay, anchor and the joint choice of the best epoch, on a small model."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.registry import load_backbone
from equisparse.cli import main
from equisparse.data.read import read_frames
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.predict import evaluate, predict
from equisparse.methods.full import Full
from equisparse.methods.select import select
from equisparse.methods.sparse import Sparse
from equisparse.quantities import ENERGY, FORCES, STRESS
from equisparse.tasks.stages import train_adapter
from equisparse.training.anchor import layer_rows
from equisparse.training.fit import FitResult
from equisparse.training.listener import FitListener, FitProgress
from equisparse.training.options import OPTIMIZERS, TrainingOptions
from equisparse.training.replay import Replay, replay_of

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")
Train = Callable[..., tuple[Adapter, FitResult]]


def disturbed(atoms: Atoms, generator: np.random.Generator) -> Atoms:
    """Strained and rattled."""
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + generator.normal(0, 0.03, (3, 3))), scale_atoms=True)
    atoms.positions += generator.normal(0, 0.08, atoms.positions.shape)
    return atoms


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Copper with the labels of another theory, and structures of other elements without labels."""
    generator = np.random.default_rng(0)
    copper = [disturbed(bulk("Cu") * (2, 1, 1), generator) for _ in range(6)]
    for atoms in copper:
        atoms.calc = EMT()
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.arrays["REF_forces"] = atoms.get_forces()
        atoms.calc = None
    others = [disturbed(bulk(symbol) * (2, 1, 1), generator) for symbol in ("Li", "Mg", "Al", "Si", "Fe", "Mo", "W")]
    folder = tmp_path_factory.mktemp("frames")
    written = {"train": copper[:4], "valid": copper[4:], "replay": others}
    for name, frames in written.items():
        ase.io.write(folder / f"{name}.extxyz", frames)
    return {name: str(folder / f"{name}.extxyz") for name in written}


@pytest.fixture(scope="module")
def backbone(small_base: str) -> AbstractBackbone:
    return load_backbone(small_base, device="cpu")


@pytest.fixture(scope="module")
def replay(backbone: AbstractBackbone, files: Mapping[str, str]) -> Replay:
    return replay_of(backbone, read_frames(files["replay"]), seed=0)


@pytest.fixture(scope="module")
def train(backbone: AbstractBackbone, files: Mapping[str, str], replay: Replay) -> Train:
    """A short training with given options."""
    return trainer(backbone, files, replay)


def trainer(backbone: AbstractBackbone, files: Mapping[str, str], replay: Replay) -> Train:
    """Function that trains on a base with given options."""
    # energies are left out, and with them the reference energies
    frames = {name: [f.with_labels({ENERGY: None}) for f in read_frames(files[name])] for name in ("train", "valid")}
    datasets = {name: FrameDataset(backbone, found, {}) for name, found in frames.items()}

    def run(
        folder: Path, method: Full | Sparse | None = None, listener: FitListener | None = None, **options: Any
    ) -> tuple[Adapter, FitResult]:
        folder.mkdir(exist_ok=True)
        method = method or Full()
        layout = select(backbone.layout(), method.default_targets)
        arguments = {name: options.pop(name) for name in ("replay", "resume") if name in options}
        if "anchor" in options:
            arguments["layers"] = layer_rows(backbone.model, layout, lambda: evaluate(backbone, replay.learned))
        settings = TrainingOptions(
            **({"epochs": 3, "batch_size": 2, "warmup_steps": 2, "seed": 1, "replay_batch_size": 2} | options)
        )
        resolved = settings.resolved(4, method.learning_rate)
        return train_adapter(backbone, method, layout, datasets, resolved, folder, listener=listener, **arguments)

    return run


def equal(first: Adapter, second: Adapter) -> bool:
    """Whether two adapters store the same bits."""
    return all(
        torch.equal(part, second.stored[tensor][name])
        for tensor, parts in first.stored.items()
        for name, part in parts.items()
    )


def test_labels_are_the_bases_own_and_molecules_have_no_stress(backbone: AbstractBackbone, files: Any) -> None:
    frames = read_frames(files["replay"])
    frames[0].atoms.pbc = False
    whole = replay_of(backbone, frames, seed=0)
    assert (len(whole.learned), len(whole.held)) == (6, 1)
    for part in (whole.learned, whole.held):
        for samples in part.batches(1):
            prediction, batch = predict(backbone, samples)
            torch.testing.assert_close(batch.labels[ENERGY], prediction[ENERGY], rtol=0, atol=1e-4)
            torch.testing.assert_close(batch.labels[FORCES], prediction[FORCES], rtol=0, atol=1e-4)
    stresses = np.concatenate([part.labels()[STRESS] for part in (whole.learned, whole.held)])
    assert np.isnan(stresses).all(axis=(1, 2)).sum() == 1


def test_all_structures_come_once_before_any_comes_again(replay: Replay) -> None:
    n = len(replay.learned)
    energies = [replay.batch(1, number)[0].labels[ENERGY].item() for number in range(2 * n)]
    assert len(set(energies[:n])) == len(set(energies[n:])) == n
    assert energies[:n] != energies[n:]
    assert [sample.labels[ENERGY].item() for sample in replay.batch(2, 1)] == energies[2:4]


def test_what_has_no_weight_changes_no_bit(train: Train, replay: Replay, tmp_path: Path) -> None:
    plain, _ = train(tmp_path / "plain")
    idle, _ = train(tmp_path / "idle", replay=replay, replay_weight=0.0, drift_weight=0.0)
    assert equal(plain, idle)


@pytest.fixture(scope="module")
def drift_of(files: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., float]:
    """Drift from 7net-0 at the end of a training with given options; an untrained model has nothing to keep."""
    backbone = load_backbone("7net-0", device="cpu")
    replay = replay_of(backbone, read_frames(files["replay"]), seed=0)
    train = trainer(backbone, files, replay)

    def measured(**options: Any) -> float:
        options = {"replay": replay, "replay_weight": 0.0, "epochs": 4, "lr": 5e-3} | options
        _, fitted = train(tmp_path_factory.mktemp("drift"), **options)
        return fitted.curve[-1].error("drift", "force_rmse_mev_per_ang") or np.nan

    return measured


@pytest.fixture(scope="module")
def free_drift(drift_of: Callable[..., float]) -> float:
    return drift_of()


@pytest.mark.parametrize(
    "option", [{"anchor": 100.0}, {"replay_weight": 0.1, "replay_batch_size": 6}], ids=["anchor", "replay"]
)
def test_each_option_cuts_the_drift(
    drift_of: Callable[..., float], free_drift: float, option: dict[str, float]
) -> None:
    assert drift_of(**option) < 0.8 * free_drift


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("method", [Full(), Sparse(changed=0.02)], ids=["full", "sparse"])
def test_a_broken_off_run_resumes_to_the_same_bits(
    train: Train, replay: Replay, tmp_path: Path, method: Full | Sparse, optimizer: str
) -> None:
    class Broken(FitListener):
        """Fails when the second epoch is told."""

        def epoch_done(self, progress: FitProgress) -> None:
            if progress.curve[-1].epoch == 2:
                raise OSError

    options = {"method": method, "optimizer": optimizer, "replay": replay, "anchor": 0.1, "replay_batch_size": 3}
    whole, _ = train(tmp_path / "whole", **options)
    with pytest.raises(OSError):  # noqa: PT011 - it has no message
        train(tmp_path / "cut", listener=Broken(), **options)
    resumed, fitted = train(tmp_path / "cut", resume=True, **options)
    assert [row.epoch for row in fitted.curve] == [1, 2, 3]
    assert equal(whole, resumed)


def test_command_line(
    files: Mapping[str, str], small_base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["finetune", files["train"], "--valid", files["valid"], "--epochs", "1", "--batch-size", "2"]
    words += ["--base", small_base, "--device", "cpu", "--out", str(tmp_path / "run")]
    words += ["--replay", files["replay"], "--anchor", "0.1"]
    assert main(words) == 0
    assert "replay     6 structures, 8 per step, weight 0.1; 1 held out" in capsys.readouterr().out
    with (tmp_path / "run" / "metrics.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["drift_force_mae_mev_per_ang"]) > 0
