"""A finished run, whose results are read from its folder when they are needed."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.file import load_adapter
from equisparse.backbones.registry import load_backbone
from equisparse.config.finetune import FinetuneConfig
from equisparse.config.read import read_config
from equisparse.data.audit.finding import Finding
from equisparse.deploy.calculator import adapted_calculator
from equisparse.errors import InputError
from equisparse.interpret.attribution import AttributionRow
from equisparse.interpret.functional import FunctionalRow
from equisparse.interpret.signatures import EntryRow, SignatureRow
from equisparse.observables.rows import PropertyRow
from equisparse.run.files import ProbeVerdict, RunFolder
from equisparse.run.metrics import Metrics, read_metrics
from equisparse.run.predictions import SplitPredictions
from equisparse.run.sparsity import SparsityRow
from equisparse.training.epochs import Epoch, read_curve


@dataclass(frozen=True)
class Run:
    """A finished run; made by `read_run`, and returned by `equisparse.finetune`.

    Results are read on first access; those of `equisparse.attribute`, `equisparse.probe` and `equisparse.properties` on
    every access. A table that does not exist is empty.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @property
    def files(self) -> RunFolder:
        """Paths of all files, and their typed readers and writers."""
        return RunFolder(self.folder)

    @cached_property
    def metrics(self) -> Metrics:
        """Errors, counts, sizes and provenance.

        Raises
        ------
        InputError
            If they are not written yet, or damaged.
        """
        return read_metrics(self.files.metrics)

    @cached_property
    def adapter(self) -> Adapter:
        """The trained change.

        Raises
        ------
        AdapterError
            If the file is missing or damaged.
        """
        return load_adapter(self.files.adapter)

    def calculator(self, *, device: str = "auto") -> Calculator:
        """ASE calculator of the fine-tuned model; the base is loaded again.

        Raises
        ------
        EquisparseError
            If the base cannot be loaded, or differs from that of the run.
        """
        config = self.config
        backbone = load_backbone(
            config.base,
            backbone=config.backbone,
            device=device,
            dtype=config.dtype,
            modality=config.modality,
            sha256=config.sha256,
        )
        return adapted_calculator(backbone, self.adapter)

    @cached_property
    def config(self) -> FinetuneConfig:
        """Configuration of the run.

        Raises
        ------
        InputError
            If the file is missing or damaged.
        """
        return read_config(self.files.config)

    @cached_property
    def curve(self) -> list[Epoch]:
        """Learning curve, one row per epoch."""
        return read_curve(self.files.curve)

    @cached_property
    def sparsity(self) -> list[SparsityRow]:
        """Errors of the adapters of all stages, if the run was made with ``--curve``."""
        return self.files.sparsity.read()

    @cached_property
    def findings(self) -> list[Finding] | None:
        """Findings of the audit; None if they were not written."""
        return self.files.read_findings()

    @cached_property
    def signatures(self) -> list[SignatureRow]:
        """Change of each block, then of each element's part of a block."""
        return self.files.signatures.read()

    @property
    def block_signatures(self) -> list[SignatureRow]:
        """Change of each block."""
        return [row for row in self.signatures if row.element is None]

    @property
    def element_signatures(self) -> list[SignatureRow]:
        """Change of each element's part of a block, if it is not zero."""
        return [row for row in self.signatures if row.element is not None and row.n_changed]

    @cached_property
    def entries(self) -> list[EntryRow]:
        """Largest changes within each block."""
        return self.files.entries.read()

    @cached_property
    def functional(self) -> list[FunctionalRow]:
        """Changes of the outputs of the layers."""
        return self.files.functional.read()

    @cached_property
    def maps(self) -> dict[int, NDArray[np.float32]]:
        """Pooled change of every changed block by the index of the block."""
        return self.files.read_maps()

    @property
    def attributions(self) -> dict[str, list[AttributionRow]]:
        """Effect of each group of the change on the errors, by the way of grouping."""
        return {by: self.files.attribution(by).read() for by in self.files.attributed()}

    @property
    def verdict(self) -> ProbeVerdict | None:
        """Result of `equisparse probe`; None if the run was not probed."""
        return self.files.probe.read_verdict()

    @property
    def properties(self) -> list[PropertyRow]:
        """Results of `equisparse properties`; empty if it was not run."""
        return self.files.properties.values.read()

    @property
    def splits(self) -> list[str]:
        """Names of the splits that were evaluated, in the order train, valid, test."""
        return self.metrics.splits

    @property
    def judged(self) -> str:
        """Name of the split on which the run is judged: test if it exists, else valid."""
        return self.metrics.judged

    @cached_property
    def predictions(self) -> SplitPredictions | None:
        """Labels and predictions of the judged split; None if they were not written."""
        return self.files.read_predictions(self.judged)


RunLike: TypeAlias = str | Path | Run
"""A finished run, or its folder."""


def opened_run(run: RunLike) -> Run:
    """Open a finished run by its folder; a `Run` is returned as it is.

    Raises
    ------
    InputError
        If the folder does not contain a finished run.
    """
    return run if isinstance(run, Run) else read_run(run)


def read_run(folder: str | Path) -> Run:
    """Open a finished run.

    Raises
    ------
    InputError
        If the folder does not contain a finished run.
    """
    run = Run(Path(folder))
    if not run.files.metrics.is_file():
        raise InputError(
            "This folder does not contain a finished run.",
            given=str(folder),
            expected=f"the folder of a fine-tune, with {run.files.metrics.name}",
            cause="a misspelt folder, or a fine-tune that has not ended",
            next_step="correct the path, or continue the fine-tune with --resume",
        )
    return run
