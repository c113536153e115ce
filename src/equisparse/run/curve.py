"""The learning curve of a run, read from ``metrics.csv``, which `equisparse.training` writes after every epoch."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SPLITS = ("train", "valid", "drift")
"""Prefixes of columns with errors; ``drift`` is measured against the base on replayed structures."""
_LOSS = "valid_loss"


@dataclass(frozen=True)
class Epoch:
    """State of the training after one epoch.

    Parameters
    ----------
    epoch : int
        From 1.
    step : int
        Optimiser steps so far.
    changed_fraction_model : float
        Changed weights over all weights of the model.
    seconds : float
        Training time so far.
    valid_loss : float or None
        Loss on the validation frames; the smallest chooses the best epoch.
    errors : mapping
        ``train``, ``valid`` and, with replay, ``drift`` -> name of the error -> value.
    """

    epoch: int
    step: int
    changed_fraction_model: float
    seconds: float = 0.0
    valid_loss: float | None = None
    errors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def error(self, split: str, name: str) -> float | None:
        """Value of one error; None if it is not known."""
        return self.errors.get(split, {}).get(name)


def read_curve(path: Path) -> list[Epoch]:
    """Epochs of a run in order; empty if the file does not exist."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [_epoch(line) for line in csv.DictReader(file)]


def _epoch(line: Mapping[str, str]) -> Epoch:
    """One line of the file."""
    values = {name: float(text) for name, text in line.items() if text}
    errors: dict[str, dict[str, float]] = {}
    for column, value in values.items():
        split, _, name = column.partition("_")
        if split in SPLITS and column != _LOSS:
            errors.setdefault(split, {})[name] = value
    return Epoch(
        epoch=int(values["epoch"]),
        step=int(values.get("step", 0)),
        changed_fraction_model=values["changed_fraction_model"],
        seconds=values.get("seconds", 0.0),
        valid_loss=values.get(_LOSS),
        errors=errors,
    )
