"""Experiment loggers: TensorBoard, Weights & Biases and MLflow receive the learning curve beside the CSV file."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from equisparse.errors import MissingPackageError
from equisparse.training.curve import LearningCurve
from equisparse.training.options import TrainingOptions
from equisparse.training.task import CRITERION

PROJECT = "equisparse"
"""Name of the project in Weights & Biases, and of the experiment in MLflow."""

_PACKAGES = {"tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",), "mlflow": ("mlflow",)}
"""Logger -> packages of which it needs one."""


def check_logger(options: TrainingOptions) -> None:
    """Check that the package of the logger is installed.

    Raises
    ------
    MissingPackageError
        If it is not.
    """
    packages = _PACKAGES.get(options.logger, ())
    if packages and not any(find_spec(package) for package in packages):
        raise MissingPackageError(
            f"The logger {options.logger} needs a package that is not installed.",
            given=f"--logger {options.logger}",
            next_step=f"pip install {packages[0]}, or omit --logger: metrics.csv has the same values",
        )


@contextmanager
def experiment(options: TrainingOptions, folder: Path) -> Iterator[Logger | None]:
    """Open the logger that the options name for the duration of the block; None if they name none.

    Raises
    ------
    MissingPackageError
        If the package of the logger is not installed.
    """
    check_logger(options)
    logger = _logger(options, folder)
    code = 1
    try:
        yield logger
        code = 0
    finally:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish(code)  # otherwise the next fit of this process would go on with the same run


def _logger(options: TrainingOptions, folder: Path) -> Logger | None:
    """Logger in the folder of a run, or on the server that the environment variables of its package name."""
    name = folder.resolve().name
    if options.logger == "tensorboard":
        return TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False)
    if options.logger == "wandb":
        return WandbLogger(project=PROJECT, name=name, save_dir=folder)
    if options.logger == "mlflow":
        local = folder.resolve()
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        place = None if uri else (local / "mlflow-artifacts").as_uri()
        return MLFlowLogger(PROJECT, name, uri or f"sqlite:///{local / 'mlflow.db'}", artifact_location=place)
    return None


class CurveLog(Callback):
    """Callback that gives a logger the options of the run, and every row of the learning curve.

    Parameters
    ----------
    curve : LearningCurve
        Curve of the fit; it has to come before this callback.
    logger : Logger
    options : TrainingOptions
    """

    def __init__(self, curve: LearningCurve, logger: Logger, options: TrainingOptions) -> None:
        self._curve, self._logger, self._options = curve, logger, options

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._logger.log_hyperparams(asdict(self._options))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        row = self._curve.epochs[-1]
        values = row.to_dict() | {CRITERION: float(trainer.callback_metrics[CRITERION])}
        finite = {name: value for name, value in values.items() if name != "step" and math.isfinite(value)}
        self._logger.log_metrics(finite, row.step)
