"""The folder of a run: the path of every file, and one typed write and one typed read for each."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from equisparse.adapters.ensemble_file import ENSEMBLE
from equisparse.adapters.file import ADAPTER
from equisparse.data.audit.finding import Finding
from equisparse.files import make_folder, replacing, write_text
from equisparse.interpret.attribution import AttributionRow
from equisparse.interpret.functional import FunctionalRow
from equisparse.interpret.signatures import EntryRow, SignatureRow
from equisparse.robustness.drift import DriftRow, DriftSummary, ElementDrift
from equisparse.robustness.dynamics import DynamicsRow
from equisparse.robustness.scans import ScanPoint, ScanRow
from equisparse.robustness.verdict import Check, Level
from equisparse.run.predictions import SplitPredictions, load_predictions, save_predictions
from equisparse.run.properties import PropertiesFolder
from equisparse.run.sparsity import SparsityRow
from equisparse.run.tables import TableFile
from equisparse.training.names import CHECKPOINTS, CURVE, LAST

_ATTRIBUTION = "attribution_"


@dataclass(frozen=True)
class ProbeVerdict:
    """Result of `equisparse probe`; ``probe/verdict.json``.

    Parameters
    ----------
    level : {"pass", "warn", "fail"}
        The worst of all checks.
    options : mapping
        Options of the probe by name.
    checks : tuple of Check
    """

    level: Level
    options: Mapping[str, object]
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class ProbeFolder:
    """Files of `equisparse probe`.

    Parameters
    ----------
    path : Path
        Folder ``probe`` of a run.
    """

    path: Path

    @property
    def verdict(self) -> Path:
        """``verdict.json``."""
        return self.path / "verdict.json"

    @property
    def failed_frames(self) -> Path:
        """Frames at which molecular dynamics failed, to be labelled: ``failed.extxyz``."""
        return self.path / "failed.extxyz"

    @property
    def drift(self) -> TableFile[DriftRow]:
        """Drift of each probe structure, the largest first."""
        return TableFile(self.path / "drift.csv", DriftRow)

    @property
    def elements(self) -> TableFile[ElementDrift]:
        """Drift of each element."""
        return TableFile(self.path / "elements.csv", ElementDrift)

    @property
    def groups(self) -> TableFile[DriftSummary]:
        """Drift of groups of probe structures."""
        return TableFile(self.path / "groups.csv", DriftSummary)

    @property
    def dynamics(self) -> TableFile[DynamicsRow]:
        """Runs of molecular dynamics."""
        return TableFile(self.path / "dynamics.csv", DynamicsRow)

    def scans(self, test: str) -> TableFile[ScanRow]:
        """Results of the scans of a test, ``dimers`` or ``compression``."""
        return TableFile(self.path / f"{test}.csv", ScanRow)

    def scan_curves(self, test: str) -> TableFile[ScanPoint]:
        """Points of the scans of a test, ``dimers`` or ``compression``."""
        return TableFile(self.path / f"{test}_curves.csv", ScanPoint)

    def write_verdict(self, verdict: ProbeVerdict) -> None:
        """Replace the verdict."""
        write_text(self.verdict, json.dumps(asdict(verdict), indent=1) + "\n")

    def read_verdict(self) -> ProbeVerdict | None:
        """The verdict; None if the run was not probed."""
        if not self.verdict.exists():
            return None
        values = json.loads(self.verdict.read_text(encoding="utf-8"))
        checks = tuple(Check(**check) for check in values["checks"])
        return ProbeVerdict(values["level"], values.get("options", {}), checks)


@dataclass(frozen=True)
class RunFolder:
    """Files of a run; none of them has to exist.

    Parameters
    ----------
    path : Path
        Folder of the run.
    """

    path: Path

    @property
    def adapter(self) -> Path:
        """The adapter: ``adapter.safetensors``."""
        return self.path / ADAPTER

    @property
    def metrics(self) -> Path:
        """Errors, counts, sizes, provenance: ``metrics.json``. If it exists, the run is finished."""
        return self.path / "metrics.json"

    @property
    def curve(self) -> Path:
        """Learning curve: ``metrics.csv``."""
        return self.path / CURVE

    @property
    def config(self) -> Path:
        """Configuration: ``config.yaml``."""
        return self.path / "config.yaml"

    @property
    def findings(self) -> Path:
        """Findings of the audit: ``findings.json``."""
        return self.path / "findings.json"

    @property
    def predictions(self) -> Path:
        """Folder with one file of labels and predictions per split."""
        return self.path / "predictions"

    @property
    def interpretation(self) -> Path:
        """Folder with the tables that describe the change."""
        return self.path / "interpretation"

    @property
    def maps(self) -> Path:
        """Pooled change of every changed block: ``interpretation/maps.npz``."""
        return self.interpretation / "maps.npz"

    @property
    def checkpoints(self) -> Path:
        """Folder with the checkpoints of the training."""
        return self.path / CHECKPOINTS

    @property
    def last_checkpoint(self) -> Path:
        """Checkpoint that an interrupted training resumes from."""
        return self.checkpoints / LAST

    @property
    def sparsity(self) -> TableFile[SparsityRow]:
        """Errors against the number of changed weights, if the run was made with ``--curve``: ``sparsity.csv``."""
        return TableFile(self.path / "sparsity.csv", SparsityRow)

    @property
    def stage_folder(self) -> Path:
        """Folder with the adapters of the stages before the last one: ``sparsity``."""
        return self.path / "sparsity"

    def stage_adapters(self) -> list[Path]:
        """Adapters of the stages before the last one."""
        return sorted(self.stage_folder.glob("*.safetensors"))

    @property
    def record(self) -> Path:
        """Frames and options that the training was started with: ``checkpoints/started.json``."""
        return self.checkpoints / "started.json"

    @property
    def figures(self) -> Path:
        """Folder with figures."""
        return self.path / "figures"

    @property
    def report(self) -> Path:
        """The report: ``report.html``."""
        return self.path / "report.html"

    @property
    def probe(self) -> ProbeFolder:
        """Files of `equisparse probe`."""
        return ProbeFolder(self.path / "probe")

    @property
    def properties(self) -> PropertiesFolder:
        """Files of `equisparse properties`."""
        return PropertiesFolder(self.path / "properties")

    def merged(self, suffix: str) -> Path:
        """Merged checkpoint in the upstream's own format, which ends in `suffix`."""
        return self.path / f"merged{suffix}"

    @property
    def signatures(self) -> TableFile[SignatureRow]:
        """Change of each block, then of each element's part of a block."""
        return TableFile(self.interpretation / "signatures.csv", SignatureRow)

    @property
    def entries(self) -> TableFile[EntryRow]:
        """Largest changes within each block."""
        return TableFile(self.interpretation / "entries.csv", EntryRow)

    @property
    def functional(self) -> TableFile[FunctionalRow]:
        """Changes of the outputs of the layers."""
        return TableFile(self.interpretation / "functional.csv", FunctionalRow)

    def attribution(self, by: str) -> TableFile[AttributionRow]:
        """Effect of each group of the change on the errors; `by` is the way of grouping."""
        return TableFile(self.interpretation / f"{_ATTRIBUTION}{by}.csv", AttributionRow)

    def attributed(self) -> list[str]:
        """Ways of grouping for which there is a table of attribution."""
        paths = sorted(self.interpretation.glob(f"{_ATTRIBUTION}*.csv"))
        return [path.stem.removeprefix(_ATTRIBUTION) for path in paths]

    def write_findings(self, findings: Iterable[Finding]) -> None:
        """Replace the findings."""
        write_text(self.findings, json.dumps([asdict(finding) for finding in findings], indent=1) + "\n")

    def read_findings(self) -> list[Finding] | None:
        """Findings of the audit; None if there is no file."""
        if not self.findings.exists():
            return None
        values = json.loads(self.findings.read_text(encoding="utf-8"))
        return [Finding(**finding | {"frames": tuple(finding["frames"])}) for finding in values]

    def write_maps(self, maps: Mapping[int, NDArray[np.float32]]) -> None:
        """Replace the pooled changes; the keys are indices of blocks in the layout."""
        make_folder(self.interpretation)
        arrays = {str(block): grid for block, grid in maps.items()}
        with replacing(self.maps) as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    def read_maps(self) -> dict[int, NDArray[np.float32]]:
        """Pooled change of every changed block by the index of the block; empty if there is no file."""
        if not self.maps.exists():
            return {}
        with np.load(self.maps, allow_pickle=False) as arrays:
            return {int(block): grid for block, grid in arrays.items()}

    def predicted_splits(self) -> list[str]:
        """Names of the splits whose predictions were written, in alphabetical order."""
        return [path.stem for path in sorted(self.predictions.glob("*.npz"))]

    def predictions_of(self, split: str) -> Path:
        """File with the labels and predictions of one split."""
        return self.predictions / f"{split}.npz"

    def write_predictions(self, split: str, predictions: SplitPredictions) -> None:
        """Replace the predictions of one split."""
        make_folder(self.predictions)
        save_predictions(predictions, self.predictions_of(split))

    def read_predictions(self, split: str) -> SplitPredictions | None:
        """Predictions of one split; None if there is no file."""
        path = self.predictions_of(split)
        return load_predictions(path) if path.exists() else None


@dataclass(frozen=True)
class EnsembleFolder:
    """Files of an ensemble; none of them has to exist.

    Parameters
    ----------
    path : Path
        Folder of the ensemble.
    """

    path: Path

    @property
    def ensemble(self) -> Path:
        """Members, scales and calibration: ``ensemble.json``. If it exists, the ensemble is finished."""
        return self.path / ENSEMBLE

    @property
    def reliability(self) -> Path:
        """Plot of the RMSE against the spread: ``reliability.png``."""
        return self.path / "reliability.png"

    def member(self, name: str) -> RunFolder:
        """Files of one member, which is a whole run."""
        return RunFolder(self.path / name)
