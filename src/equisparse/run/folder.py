"""A run folder as tables: everything that a report is made from, read when it is asked for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from equisparse.errors import InputError
from equisparse.files import read_rows
from equisparse.run.predictions import SplitPredictions, load_predictions

METRICS = "metrics.json"
CONFIG = "config.yaml"
CURVE = "metrics.csv"
FINDINGS = "findings.json"
PREDICTIONS = "predictions"
SIGNATURES = "interpretation/signatures.csv"
ENTRIES = "interpretation/entries.csv"
MAPS = "interpretation/maps.npz"
ATTRIBUTION = "interpretation/attribution_{}.csv"
FUNCTIONAL = "interpretation/functional.csv"
PROBE = "probe"
VERDICT = f"{PROBE}/verdict.json"

Row = dict[str, Any]
"""Fields of one row of a table by name."""


@dataclass(frozen=True)
class Run:
    """A finished run; every table that its folder lacks is empty.

    Made by `read_run`.

    Parameters
    ----------
    folder : Path
    """

    folder: Path

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @property
    def method(self) -> str:
        """Name of the method."""
        return str(self.metrics.get("method", "not recorded"))

    @cached_property
    def metrics(self) -> Mapping[str, Any]:
        """Contents of ``metrics.json``."""
        return dict(json.loads((self.folder / METRICS).read_text()))

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """Contents of ``config.yaml``."""
        path = self.folder / CONFIG
        return dict(yaml.safe_load(path.read_text())) if path.exists() else {}

    @cached_property
    def curve(self) -> list[Row]:
        """Learning curve, one row an epoch."""
        return self._rows(CURVE)

    @cached_property
    def findings(self) -> list[Row] | None:
        """Findings of the audit; None if they were not written."""
        path = self.folder / FINDINGS
        return list(json.loads(path.read_text())) if path.exists() else None

    @cached_property
    def signatures(self) -> list[Row]:
        """Rows of `equisparse.interpret.signatures.SignatureRow`."""
        return self._rows(SIGNATURES)

    @cached_property
    def entries(self) -> list[Row]:
        """Rows of `equisparse.interpret.signatures.EntryRow`."""
        return self._rows(ENTRIES)

    @cached_property
    def functional(self) -> list[Row]:
        """Rows of `equisparse.interpret.functional.FunctionalRow`."""
        return self._rows(FUNCTIONAL)

    @cached_property
    def maps(self) -> dict[int, NDArray[np.float32]]:
        """Pooled change of every changed block by its number."""
        path = self.folder / MAPS
        if not path.exists():
            return {}
        with np.load(path, allow_pickle=False) as arrays:
            return {int(block): grid for block, grid in arrays.items()}

    @cached_property
    def attributions(self) -> dict[str, list[Row]]:
        """Rows of `equisparse.interpret.attribution.AttributionRow` by what they are grouped by."""
        first, last = ATTRIBUTION.split("{}")
        paths = sorted(self.folder.glob(ATTRIBUTION.format("*")))
        return {str(path.relative_to(self.folder))[len(first) : -len(last)]: read_rows(path) for path in paths}

    @cached_property
    def probe(self) -> Mapping[str, Any]:
        """Contents of ``probe/verdict.json``; empty if the run was not probed."""
        path = self.folder / VERDICT
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def probed(self, table: str) -> list[Row]:
        """Rows of a table that `equisparse probe` wrote, such as ``elements``."""
        return self._rows(f"{PROBE}/{table}.csv")

    @property
    def splits(self) -> list[str]:
        """Names of the splits that were judged, in the order train, valid, test."""
        return list(self.metrics["final"])

    @property
    def judged(self) -> str:
        """The split that the verdict rests on: test if there is one, else valid."""
        return self.splits[-1]

    @cached_property
    def predictions(self) -> SplitPredictions | None:
        """Frames of the judged split; None if they were not written."""
        path = self.folder / PREDICTIONS / f"{self.judged}.npz"
        return load_predictions(path) if path.exists() else None

    def _rows(self, name: str) -> list[Row]:
        path = self.folder / name
        return read_rows(path) if path.exists() else []


def read_run(folder: str | Path) -> Run:
    """Run of a folder.

    Raises
    ------
    InputError
        If the folder holds no finished run.
    """
    run = Run(Path(folder))
    if not (run.folder / METRICS).is_file():
        raise InputError(
            "There is no finished run in this folder.",
            given=str(folder),
            expected=f"the folder of a fine-tune, with {METRICS}",
            next_step="let the fine-tune end, with --resume if it was cut off",
        )
    return run
