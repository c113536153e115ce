"""The learning curve of a run: one typed row per epoch, written to ``metrics.csv`` and read back; no trainer."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from equisparse.files import write_text

SPLITS = ("train", "valid", "drift")
"""Prefixes of columns with errors; ``drift`` is measured against the base on replay structures."""
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
        """Value of one error; None if it is not known.

        >>> epoch = Epoch(1, 10, 0.03, errors={"valid": {"force_mae_mev_per_ang": 20.5}})
        >>> epoch.error("valid", "force_mae_mev_per_ang")
        20.5
        """
        return self.errors.get(split, {}).get(name)

    def to_dict(self) -> dict[str, float]:
        """Values by the name of their column, as ``metrics.csv`` and checkpoints store them."""
        values = {"epoch": float(self.epoch), "step": float(self.step)}
        if self.valid_loss is not None:
            values[_LOSS] = self.valid_loss
        for split, errors in self.errors.items():
            values |= {f"{split}_{name}": value for name, value in errors.items()}
        return values | {"changed_fraction_model": self.changed_fraction_model, "seconds": self.seconds}

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> "Epoch":
        """Make an epoch from its values by the name of their column; the inverse of `to_dict`."""
        errors: dict[str, dict[str, float]] = {}
        for column, value in values.items():
            split, _, name = column.partition("_")
            if split in SPLITS and column != _LOSS:
                errors.setdefault(split, {})[name] = value
        return cls(
            epoch=int(values["epoch"]),
            step=int(values.get("step", 0)),
            changed_fraction_model=values["changed_fraction_model"],
            seconds=values.get("seconds", 0.0),
            valid_loss=values.get(_LOSS),
            errors=errors,
        )


def write_curve(path: Path, epochs: Sequence[Epoch]) -> None:
    """Replace a learning curve, one line per epoch; the columns are those of the first epoch.

    Raises
    ------
    WriteError
        If the file cannot be written.
    """
    rows = [epoch.to_dict() for epoch in epochs]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, fieldnames=list(rows[0]), extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, table.getvalue())


def read_curve(path: Path) -> list[Epoch]:
    """Epochs of a run in order; empty if the file does not exist."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Epoch.from_dict({name: float(text) for name, text in line.items() if text}) for line in csv.DictReader(file)
        ]
