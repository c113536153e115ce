"""Metrics of a finished run (``metrics.json``): errors, counts, sizes and provenance."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal, TypeAlias

import torch

from equisparse.backbones.base import AbstractBackbone
from equisparse.deploy.merge import MergeCheck
from equisparse.errors import InputError
from equisparse.files import write_text
from equisparse.inference.precision import PrecisionPrice
from equisparse.methods.base import Trial
from equisparse.robustness.drift import DriftSummary

Errors: TypeAlias = Mapping[str, float | None]
"""Name of an error -> value; None without labels."""
StageName = Literal["base", "refit", "final"]
"""The base, the base with refitted reference energies, and the fine-tuned model."""
STAGES: tuple[StageName, ...] = ("base", "refit", "final")

_PACKAGES = ("equisparse", "torch", "e3nn", "ase", "numpy", "lightning", "schedulefree", "safetensors")


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Errors, counts, sizes and provenance of one fine-tune.

    Parameters
    ----------
    base, refit, final : mapping of str to errors
        Split -> name of the error -> value: of the base, of the base with refitted reference energies, or with the
        adapter `start` if there is one, and of the fine-tuned model.
    method : str
        Name of the method.
    changed_fraction_model, changed_fraction_selected : float
        Changed weights over all weights of the model, and over those of the selected tensors.
    changed_count : int
        Changed weights.
    stored_values : int
        Values that the adapter stores.
    value_rounding : float or None
        Difference of the stored change from the trained one, over the size of the change; None in earlier runs. All
        errors are those of the stored change.
    spin_layer_values : int
        Values of the spin layer; 0 without one.
    steps : int
        Optimiser steps.
    seconds : float
        Training time.
    start : str or None
        Adapter from which training started.
    trials : tuple of Trial
        Numbers of changed weights that the method has tried, in order; empty if the number was given.
    valid_loss : float or None
        Validation loss of the epoch that was kept, including the weighted drift; None in runs of earlier versions.
    seed : int
    versions : mapping of str to str
        Package -> version; also ``python`` and ``machine``.
    reference_shifts_ev : mapping of int to float
        Atomic number -> shift of the reference energy, eV; its keys are the elements of the training frames.
    reference_rank : int
        Number of reference energies that the compositions determine.
    reference_unresolved : tuple of str
        Symbols of the elements whose reference energies the compositions do not separate.
    retention : DriftSummary or None
        Drift from the base on probe structures; None if it was not measured.
    precision : PrecisionPrice or None
        Price of coarser matrix products in the training; None for full precision.
    adapter_bytes, base_bytes : int
        Sizes of the adapter file and of the base's checkpoint.
    merged_check : MergeCheck or None
        Comparison of the merged checkpoint with the adapter; None without a merged checkpoint.
    not_merged : str or None
        Why there is no merged checkpoint.
    deployment : str or None
        How to use the merged checkpoint with the upstream's own tools.
    """

    base: Mapping[str, Errors]
    refit: Mapping[str, Errors]
    final: Mapping[str, Errors]
    method: str
    changed_fraction_model: float
    changed_fraction_selected: float
    changed_count: int
    stored_values: int
    value_rounding: float | None = None
    spin_layer_values: int = 0
    steps: int
    seconds: float
    start: str | None = None
    trials: tuple[Trial, ...] = ()
    valid_loss: float | None = None
    seed: int
    versions: Mapping[str, str]
    reference_shifts_ev: Mapping[int, float]
    reference_rank: int = 0
    reference_unresolved: tuple[str, ...] = ()
    retention: DriftSummary | None = None
    precision: PrecisionPrice | None = None
    adapter_bytes: int
    base_bytes: int
    merged_check: MergeCheck | None = None
    not_merged: str | None = None
    deployment: str | None = None

    @property
    def splits(self) -> list[str]:
        """Names of the splits that errors are known of, in the order train, valid, test."""
        return list(self.final)

    @property
    def judged(self) -> str:
        """Name of the split on which the run is judged: test if it exists, else valid."""
        return self.splits[-1]

    @property
    def stages(self) -> dict[StageName, Mapping[str, Errors]]:
        """Errors of the three stages by name."""
        return {"base": self.base, "refit": self.refit, "final": self.final}

    def to_dict(self) -> dict[str, object]:
        """Plain values by name, as ``metrics.json`` stores them; fields that are None are left out."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        if self.retention is not None:
            values["retention"] = self.retention.values()
        return values


def write_metrics(path: Path, metrics: Metrics) -> None:
    """Replace ``metrics.json``."""
    write_text(path, json.dumps(metrics.to_dict(), indent=2) + "\n")


def read_metrics(path: Path) -> Metrics:
    """Read ``metrics.json``; unknown keys are ignored.

    Raises
    ------
    InputError
        If the file is missing or damaged.
    """
    if not path.is_file():
        raise InputError(
            "The results of this run are not written yet.",
            given=str(path),
            cause="only the first process of a fine-tune writes results, after all others have ended; or the run was "
            "interrupted",
            next_step="read them in the first process (RANK 0), or later with equisparse.read_run; continue an "
            "interrupted run with --resume",
        )
    try:
        values = {
            name: value for name, value in json.loads(path.read_text(encoding="utf-8")).items() if name in _FIELDS
        }
        values.setdefault("method", "not recorded")
        values["reference_shifts_ev"] = {int(z): shift for z, shift in values["reference_shifts_ev"].items()}
        values["reference_unresolved"] = tuple(values.get("reference_unresolved", ()))
        values["trials"] = tuple(Trial(**trial) for trial in values.get("trials", ()))
        if "retention" in values:
            values["retention"] = DriftSummary(group="all", **values["retention"])
        if "precision" in values:
            values["precision"] = PrecisionPrice(**values["precision"])
        if "merged_check" in values:
            values["merged_check"] = MergeCheck(**values["merged_check"])
        return Metrics(**values)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            "The metrics of the run are damaged.",
            given=str(path),
            cause=f"{type(error).__name__}: {error}",
            next_step="repeat the run",
        ) from error


_FIELDS = frozenset(Metrics.__dataclass_fields__)


def versions(backbone: AbstractBackbone) -> dict[str, str]:
    """Versions of the packages that a result depends on, and the kind of machine."""
    installed = {package.metadata["Name"].lower() for package in metadata.distributions() if package.metadata["Name"]}
    known = {name: metadata.version(name) for name in _PACKAGES if name in installed}
    device = backbone.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, {name}"
    return known | {backbone.name: backbone.identity.version, "python": platform.python_version(), "machine": machine}
