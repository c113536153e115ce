"""Run folders of made-up numbers, written by the package's own writers."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from equisparse.adapters.adapter import Adapter
from equisparse.files import write_rows
from equisparse.interpret.signatures import largest_entries, pooled_maps, signature_table
from equisparse.quantities import ENERGY, FORCES, STRESS, shown_errors
from equisparse.run.folder import ENTRIES, FINDINGS, MAPS, PREDICTIONS, SIGNATURES
from equisparse.run.predictions import SplitPredictions, save_predictions
from equisparse.testing.networks import PathNetwork

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


def made_metrics(judged: str) -> dict[str, object]:
    """Contents of ``metrics.json``."""
    errors = {error.name: 10.0 for error in shown_errors()} | {"stress_mae_gpa": None}
    splits = {"train": errors, judged: errors | {"force_mae_mev_per_ang": 12.0}}
    stages = {"base": splits, "refit": splits, "final": splits}
    counts = {"changed_count": 3, "changed_fraction_model": 0.0075, "changed_fraction_selected": 0.015}
    sizes = {"stored_values": 3, "adapter_bytes": 1234, "base_bytes": 5678, "steps": 9, "seconds": 1.5, "seed": 0}
    check = {"n_frames": 2, "energy": 0.0, "energy_rounding": 0.0, "forces": 1e-6, "stress": 0.0, "equal": True}
    origin = {"method": "sparse", "versions": {"equisparse": "0.1.0", "machine": "test"}, "merged_check": check}
    references = {"reference_shifts_ev": {"8": 0.5, "12": -2.5}, "reference_unresolved": []}
    return stages | counts | sizes | origin | references


def write_changes(folder: Path, adapter: Adapter) -> None:
    """Signatures, entries and maps of an adapter on a path network."""
    model = PathNetwork(adapter.layout, torch.float32, seed=0)
    (folder / SIGNATURES).parent.mkdir()
    write_rows(folder / SIGNATURES, [asdict(row) for row in signature_table(adapter, model)])
    write_rows(folder / ENTRIES, [asdict(row) for row in largest_entries(adapter, model)])
    np.savez(folder / MAPS, **{str(block): grid.numpy() for block, grid in pooled_maps(adapter, model).items()})


@pytest.fixture
def make_run(tmp_path: Path, planted: Adapter) -> MakeRun:
    """Make a run folder: name, predictions, and the split they are of."""

    def make(name: str = "run", predictions: SplitPredictions | None = None, judged: str = "test") -> Path:
        folder = tmp_path / name
        (folder / PREDICTIONS).mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps(made_metrics(judged)))
        (folder / "config.yaml").write_text(
            yaml.safe_dump({"train": ["<b>frames</b>.xyz"], "base": "7net-0", "seed": 0})
        )
        (folder / FINDINGS).write_text("[]")
        rows = [
            {"epoch": n, "valid_force_mae_mev_per_ang": 10 / n, "changed_fraction_model": 0.0075} for n in (1, 2, 3)
        ]
        write_rows(folder / "metrics.csv", rows)
        write_changes(folder, planted)
        save_predictions(predictions or made_predictions(12, 4), folder / PREDICTIONS / f"{judged}.npz")
        return folder

    return make


@pytest.fixture
def predictions() -> Callable[..., SplitPredictions]:
    """`made_predictions`."""
    return made_predictions
