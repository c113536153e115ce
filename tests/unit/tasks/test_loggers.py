"""A fine-tune writes its options and learning curve to TensorBoard, Weights & Biases (offline) and MLflow (local).

Each test runs where its package is installed: TensorBoard in the session `core`, all of them in `loggers`.
"""

from pathlib import Path
from typing import Any

import pytest

import equisparse
from equisparse.training.epochs import read_curve

NAME = "valid_force_mae_mev_per_ang"


def expected(run: equisparse.Run) -> list[tuple[int, float]]:
    """Step and error of every row of the CSV file."""
    rows = [(row.step, row.error("valid", "force_mae_mev_per_ang")) for row in read_curve(run.files.curve)]
    assert len(rows) == 2
    return [(step, pytest.approx(error, rel=1e-5)) for step, error in rows]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard(files: dict[str, str], options: dict[str, Any]) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = equisparse.finetune(files["train"], **options, logger="tensorboard")
    events = EventAccumulator(str(run.folder / "tensorboard")).Reload()
    assert [(point.step, point.value) for point in events.Scalars(NAME)] == expected(run)
    assert {"valid_loss", "criterion", "changed_fraction_model"} <= set(events.Tags()["scalars"])
    assert "hp_metric" not in events.Tags()["scalars"]
    assert "lr" in (run.folder / "tensorboard" / "hparams.yaml").read_text()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_mlflow(files: dict[str, str], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run = equisparse.finetune(files["train"], **options, logger="mlflow")
    client = MlflowClient(f"sqlite:///{run.folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("equisparse")
    assert experiment is not None
    [logged] = client.search_runs([experiment.experiment_id])
    assert (logged.info.run_name, logged.info.status) == (run.folder.name, "FINISHED")
    assert logged.data.params["batch_size"] == "4"
    points = client.get_metric_history(logged.info.run_id, NAME)
    assert [(point.step, point.value) for point in points] == expected(run)


def test_weights_and_biases(
    files: dict[str, str], options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name in ("first", "second"):
        run = equisparse.finetune(files["train"], **options | {"out": tmp_path / name}, logger="wandb")
        [logged] = (run.folder / "wandb").rglob("*.wandb")  # a run of its own for each fine-tune of one process
        contents = logged.read_bytes()
        for word in (NAME, "valid_loss", "batch_size", f"{chr(len(name))}{name}"):  # the last one is the run's name
            assert word.encode() in contents
        assert contents.count(b"trainer/global_step") >= 2
        assert wandb.run is None
