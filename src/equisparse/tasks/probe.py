"""Test a finished run outside of its data: retention, short range and dynamics."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.split import FrameSplits
from equisparse.deploy.calculator import AdaptedCalculator, check_adapter
from equisparse.errors import InputError
from equisparse.files import write_text
from equisparse.inference.predict import predict_structures
from equisparse.inputs.base import configured_base
from equisparse.inputs.splits import read_splits
from equisparse.quantities import Quantity
from equisparse.report.html.document import write_report
from equisparse.robustness import drift, scans, verdict
from equisparse.robustness.dynamics import DynamicsOptions, DynamicsRow, dynamics
from equisparse.robustness.retention import both_predictions
from equisparse.run.files import ProbeFolder, ProbeVerdict
from equisparse.run.folder import RunLike, opened_run
from equisparse.tasks.listener import Listener


@dataclass(frozen=True)
class ProbeResult:
    """Results of a probe.

    Parameters
    ----------
    level : {"pass", "warn", "fail"}
        The worst of all checks.
    checks : tuple of Check
    folder : Path
        Folder of the tables and of the frames at which dynamics failed.
    """

    level: verdict.Level
    checks: tuple[verdict.Check, ...]
    folder: Path


def probe(
    run: RunLike,
    *,
    temperature: float = 300.0,
    steps: int = 500,
    timestep: float | None = None,
    starts: int = 2,
    compressed: int = 3,
    seed: int = 0,
    device: str = "auto",
    listener: Listener | None = None,
) -> ProbeResult:
    """Test the adapted model of a run against its base: retention, short range and dynamics.

    The tables are written to the folder of the run, and the report is rewritten.

    Parameters
    ----------
    run : str, Path or Run
        A finished run, or its folder. The data files that its configuration names are read again.
    temperature : float
        Temperature of molecular dynamics, K.
    steps : int
        Steps of each molecular dynamics run.
    timestep : float or None
        Time step, fs; by default 0.5 with hydrogen, else 1.
    starts : int
        Number of structures from which dynamics starts: that of lowest energy per atom, and others at random.
    compressed : int
        Number of training structures to compress.
    seed : int
    device : str
    listener : Listener, optional
        Receives the name of each test as it begins.

    Raises
    ------
    EquisparseError
        If the folder holds no finished run, an option is out of range, or its data files are missing.
    """
    options = _Options(DynamicsOptions(temperature, steps, timestep, seed), starts, compressed)
    listener = listener or Listener()
    opened = opened_run(run)
    config, adapter, files = opened.config, opened.adapter, opened.files.probe
    splits = read_splits(config)
    adapter.check_spin_free("probing")
    backbone = configured_base(config, device)
    check_adapter(backbone, adapter)
    listener.notice("probing", "retention on structures unlike the data")
    checks = _retention(files, backbone, adapter)
    listener.notice("probing", "short range: dimers and compression")
    checks += _short_range(files, backbone, adapter, splits.train, options)
    listener.notice(
        "probing", f"dynamics: {steps} steps of NVT and of NVE from {starts} structures (--steps, --starts)"
    )
    checks += _dynamics(files, backbone, adapter, splits, options)
    level = verdict.overall(checks)
    files.write_verdict(ProbeVerdict(level, asdict(options), tuple(checks)))
    write_report(opened)
    return ProbeResult(level, tuple(checks), files.path)


@dataclass(frozen=True)
class _Options:
    """Options of `probe`."""

    dynamics: DynamicsOptions
    starts: int
    compressed: int

    def __post_init__(self) -> None:
        for name in ("starts", "compressed"):
            if getattr(self, name) < 1:
                raise InputError(f"Invalid option {name}.", given=str(getattr(self, name)), expected="1 or more")


def _retention(files: ProbeFolder, backbone: AbstractBackbone, adapter: Adapter) -> list[verdict.Check]:
    """Drift per structure, per element, and by groups."""
    structures, base, adapted = both_predictions(backbone, adapter)
    rows = drift.drift_rows(structures, base, adapted, adapter.elements)
    elements = drift.element_drifts(structures, base, adapted, adapter.elements)
    groups = drift.grouped(rows)
    files.drift.write(sorted(rows, key=lambda row: -row.force_mev_per_ang))
    files.elements.write(elements)
    files.groups.write(groups)
    return verdict.drift_checks(groups[0])


def _short_range(
    files: ProbeFolder, backbone: AbstractBackbone, adapter: Adapter, train: Sequence[LabelledFrame], options: _Options
) -> Iterator[verdict.Check]:
    """Dimers of all pairs of the data's elements, and compressed training structures."""
    base = partial(predict_structures, backbone)

    def adapted(structures: Sequence[Atoms]) -> dict[Quantity, Floats]:
        with adapter.applied(backbone.model):
            return base(structures)

    chosen = [frame.atoms for frame in _starts(train, options.compressed, options.dynamics.seed)]
    scans_of = {
        "dimers": scans.dimer_scans(base, adapted, adapter.elements, backbone.cutoff),
        "compression": scans.compression_scans(base, adapted, chosen),
    }
    for (test, curves), unit in zip(scans_of.items(), ("eV", "eV/atom"), strict=True):
        rows = [scans.judged(scan) for scan in curves]
        files.scans(test).write(rows)
        files.scan_curves(test).write(scans.scan_points(curves))
        yield verdict.scan_check(f"short range: {test}", unit, rows)


def _dynamics(
    files: ProbeFolder, backbone: AbstractBackbone, adapter: Adapter, splits: FrameSplits, options: _Options
) -> list[verdict.Check]:
    """NVT and NVE runs of the adapted model."""
    rows: list[DynamicsRow] = []
    failures: list[Atoms] = []
    frames = [*splits.train, *splits.valid, *splits.test]
    with adapter.applied(backbone.model):
        for index, start in enumerate(_starts(frames, options.starts, options.dynamics.seed)):
            data = [frame.atoms for frame in frames if frame.formula == start.formula]
            name = f"{index} {start.formula}"
            results, failed = dynamics(name, start.atoms, AdaptedCalculator(backbone), data, options.dynamics)
            rows += results
            failures += [] if failed is None else [failed]
    files.dynamics.write(rows)
    files.failed_frames.unlink(missing_ok=True)
    if failures:
        text = io.StringIO()
        ase.io.write(text, failures, format="extxyz")
        write_text(files.failed_frames, text.getvalue())
    return verdict.dynamics_checks(rows)


def _starts(frames: Sequence[LabelledFrame], count: int, seed: int) -> list[LabelledFrame]:
    """The frame of lowest energy per atom, where energies are known, and others at random."""
    energies = [np.inf if frame.energy is None else frame.energy / frame.n_atoms for frame in frames]
    lowest = int(np.argmin(energies))
    others = [index for index in np.random.default_rng(seed).permutation(len(frames)).tolist() if index != lowest]
    return [frames[index] for index in [lowest, *others][:count]]
