"""An adapter with changes planted at known places, run folders of made-up numbers, and batches with labels."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from equisparse.adapters.adapter import Adapter, TrainedBy
from equisparse.backbones.prediction import Prediction
from equisparse.blocks import Layout, column_blocks, matrix_blocks
from equisparse.config.finetune import FinetuneConfig
from equisparse.deploy.merge import MergeCheck
from equisparse.formats.entries import Entries, pack
from equisparse.inference.dataset import Batch
from equisparse.interpret.signatures import largest_entries, pooled_maps, signature_table
from equisparse.quantities import ENERGY, FORCES, MAGNETIC_FORCES, MOMENTS, STRESS, shown_errors
from equisparse.run.files import RunFolder
from equisparse.run.metrics import Metrics, write_metrics
from equisparse.run.predictions import SplitPredictions
from equisparse.testing.networks import PathNetwork
from equisparse.training.epochs import Epoch, write_curve

MakeRun = Callable[..., Path]


def made_predictions(n_frames: int, n_atoms: int, *, gain: float = 0.5, labelled: bool = True) -> SplitPredictions:
    """Frames of magnesium and oxygen; errors after are `gain` times those before, but forces on oxygen keep theirs."""
    rng = np.random.default_rng(0)
    total = n_frames * n_atoms
    numbers = np.tile([12, 8], total)[:total]
    forces, error = rng.normal(size=(total, 3)), rng.normal(scale=0.1, size=(total, 3))
    energy, shift = rng.normal(size=n_frames) - 50.0, rng.normal(scale=0.2, size=n_frames)
    stress = np.full((n_frames, 3, 3), np.nan)
    return SplitPredictions(
        source=np.full(n_frames, "<b>frames</b>.xyz"),
        config_type=np.array(["cold", "hot"] * n_frames)[:n_frames],
        index=np.arange(n_frames),
        n_atoms=np.full(n_frames, n_atoms),
        numbers=numbers,
        positions=rng.uniform(0, 8, size=(total, 3)),
        cell=np.broadcast_to(8 * np.eye(3), (n_frames, 3, 3)).copy(),
        labels={ENERGY: energy, FORCES: forces if labelled else np.full_like(forces, np.nan), STRESS: stress},
        before={ENERGY: energy + shift, FORCES: forces + error, STRESS: np.zeros_like(stress)},
        after={
            ENERGY: energy + gain * shift,
            FORCES: forces + np.where(numbers == 12, gain, 1.0)[:, None] * error,
            STRESS: np.zeros_like(stress),
        },
    )


def made_metrics(judged: str) -> Metrics:
    """Errors of which only forces of the judged split differ from those of the training frames."""
    errors = {error.name: 10.0 for error in shown_errors()} | {"stress_mae_gpa": None}
    splits = {"train": errors, judged: errors | {"force_mae_mev_per_ang": 12.0}}
    return Metrics(
        base=splits,
        refit=splits,
        final=splits,
        method="sparse",
        changed_count=3,
        changed_fraction_model=0.0075,
        changed_fraction_selected=0.015,
        stored_values=3,
        steps=9,
        seconds=1.5,
        seed=0,
        versions={"equisparse": "0.1.0", "machine": "test"},
        reference_shifts_ev={8: 0.5, 12: -2.5},
        adapter_bytes=1234,
        base_bytes=5678,
        merged_check=MergeCheck(2, 0.0, 0.0, 1e-6, 0.0, True),
    )


def write_changes(files: RunFolder, adapter: Adapter) -> None:
    """Signatures, entries and maps of an adapter on a path network."""
    model = PathNetwork(adapter.layout, torch.float32, seed=0)
    files.signatures.write(signature_table(adapter, model))
    files.entries.write(largest_entries(adapter, model))
    files.write_maps({block: grid.numpy() for block, grid in pooled_maps(adapter, model).items()})


@pytest.fixture
def make_run(tmp_path: Path, planted: Adapter) -> MakeRun:
    """Make a run folder: name, predictions, and the split they are of."""

    def make(name: str = "run", predictions: SplitPredictions | None = None, judged: str = "test") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        files = RunFolder(folder)
        write_metrics(files.metrics, made_metrics(judged))
        files.config.write_text(FinetuneConfig(train=["<b>frames</b>.xyz"], base="7net-0", seed=0).to_yaml())
        files.write_findings([])
        errors = [{"valid": {"force_mae_mev_per_ang": 10 / n}} for n in (1, 2, 3)]
        write_curve(files.curve, [Epoch(n, n, 0.0075, errors=error) for n, error in enumerate(errors, 1)])
        write_changes(files, planted)
        files.write_predictions(judged, predictions or made_predictions(12, 4))
        return folder

    return make


@pytest.fixture(name="made_metrics")
def metrics_maker() -> Callable[[str], Metrics]:
    """`made_metrics`."""
    return made_metrics


@pytest.fixture
def predictions() -> Callable[..., SplitPredictions]:
    """`made_predictions`."""
    return made_predictions


@pytest.fixture
def planted() -> Adapter:
    """One entry in the vectors of a Linear, two in the vector columns of a matrix; 3 of 400 parameters."""
    layout = Layout(
        (
            *matrix_blocks("mix.weight", [("0e->0e", 0, 1, (8, 8)), ("1o->1o", 1, -1, (6, 6))], "linear", 0),
            *column_blocks("radial.weight", 10, [("0ex0e->0e", 0, 1, 5), ("1ox0e->1o", 1, -1, 5)], "readout", -2),
        ),
        {"mix.weight": (100,), "radial.weight": (10, 10)},
        400,
    )
    mix, radial = torch.zeros(100), torch.zeros(10, 10)
    mix[64 + 7] = 0.5
    radial[0, 5], radial[9, 9] = 0.25, -0.125
    base = {"backbone": "sevennet", "source": "7net-0", "sha256": "ab" * 32, "version": "0.13.0"}
    stored = {"mix.weight": pack(mix), "radial.weight": pack(radial)}
    trained = TrainedBy("soft_threshold", {"regime": "L"})
    return Adapter(Entries(), layout, stored, {12: -2.5}, base, "float32", (12,), trained_by=trained)


@pytest.fixture
def batch() -> tuple[Prediction, Batch]:
    """Two frames of 1 and 2 atoms; the second has neither energy nor stress."""
    prediction = {ENERGY: torch.tensor([1.0, 5.0]), FORCES: torch.zeros(3, 3), STRESS: torch.zeros(2, 3, 3)}
    stress = torch.stack([torch.full((3, 3), 0.002), torch.full((3, 3), math.nan)])
    labels = {ENERGY: torch.tensor([1.004, math.nan]), FORCES: torch.full((3, 3), 0.1), STRESS: stress}
    return prediction, Batch(None, labels, torch.tensor([1, 2]))


@pytest.fixture
def magnetic_batch(batch: tuple[Prediction, Batch]) -> tuple[Prediction, Batch]:
    """Two frames of 1 and 2 atoms; all moments of the second have the other sign, and one of them has no label."""
    prediction, plain = batch
    moments = torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, 1.0], [0.0, 0.0, -1.5]])
    labels = torch.tensor([[0.0, 0.3, 2.4], [0.0, 0.0, -1.2], [math.nan] * 3])
    forces = torch.tensor([[0.0, 0.0, 0.02], [math.nan] * 3, [math.nan] * 3])
    return (
        prediction | {MOMENTS: moments, MAGNETIC_FORCES: torch.zeros(3, 3)},
        Batch(None, plain.labels | {MOMENTS: labels, MAGNETIC_FORCES: forces}, plain.n_atoms),
    )
