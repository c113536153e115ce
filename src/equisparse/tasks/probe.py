"""Test a finished run outside of its data: retention, short range and dynamics."""

import io
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.device import resolve_device
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.split import FrameSplits
from equisparse.deploy.calculator import AdaptedCalculator, check_adapter
from equisparse.files import write_text
from equisparse.inference.predict import predict_structures
from equisparse.inputs.base import configured_base
from equisparse.inputs.splits import read_splits
from equisparse.options import check_counts
from equisparse.quantities import Quantity
from equisparse.report.html.document import write_report
from equisparse.robustness import drift, scans, verdict
from equisparse.robustness.dynamics import DynamicsOptions, DynamicsRow, dynamics
from equisparse.robustness.retention import both_predictions
from equisparse.run.files import ProbeFolder, ProbeVerdict
from equisparse.run.folder import Run, RunLike, opened_run
from equisparse.tasks.listener import Listener
from equisparse.training.group import Group, process_group
from equisparse.training.options import ProcessOptions
from equisparse.wording import counted


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
    devices: int = 1,
    num_nodes: int = 1,
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
    devices, num_nodes : int
        Processes per node and number of nodes. The processes share the tests, and the starts of dynamics; the results
        are those of one process. The first process writes them.

    Raises
    ------
    EquisparseError
        If the folder holds no finished run, an option is out of range, or its data files are missing.
    """
    options = _Options(DynamicsOptions(temperature, steps, timestep, seed), starts, compressed)
    with process_group(ProcessOptions(devices=devices, num_nodes=num_nodes)) as group:
        group.check_devices(resolve_device(device))
        opened = opened_run(run)
        shown = listener if listener and group.is_first else Listener()
        found = _merged(group.gathered(_tests(opened, options, device, group, shown)))
        checks = _written(opened.files.probe, found) if group.is_first else []
        checks = group.of_first(checks)
    level = verdict.overall(checks)
    if group.is_first:
        opened.files.probe.write_verdict(ProbeVerdict(level, asdict(options), tuple(checks)))
        write_report(opened)
    return ProbeResult(level, tuple(checks), opened.files.probe.path)


@dataclass(frozen=True)
class _Options:
    """Options of `probe`."""

    dynamics: DynamicsOptions
    starts: int
    compressed: int

    def __post_init__(self) -> None:
        check_counts(starts=self.starts, compressed=self.compressed)


@dataclass(frozen=True)
class _Found:
    """Results of the tests of one process, or of all.

    Parameters
    ----------
    drift : list of DriftRow and of ElementDrift
        Empty in the processes that did not measure it.
    scans : mapping of str to list of Scan
        ``dimers`` and ``compression``.
    dynamics : mapping of int to tuple
        Index of the start -> rows, and the frame at which the run failed, if it did.
    """

    drift: tuple[list[drift.DriftRow], list[drift.ElementDrift]]
    scans: Mapping[str, list[scans.Scan]]
    dynamics: Mapping[int, tuple[list[DynamicsRow], Atoms | None]]


def _tests(run: Run, options: _Options, device: str, group: Group, listener: Listener) -> _Found:
    """Run the tests that belong to this process; molecular dynamics, which takes longest, is shared out first."""
    splits = read_splits(run.config)
    run.adapter.check_spin_free("probing")
    backbone = configured_base(run.config, device)
    check_adapter(backbone, run.adapter)
    runs = _dynamics(backbone, run.adapter, splits, options, group, listener)
    others = {"retention": options.starts, "dimers": options.starts + 1, "compression": options.starts + 2}
    own = {name for name, index in others.items() if group.owns(index)}
    drifts: tuple[list[drift.DriftRow], list[drift.ElementDrift]] = ([], [])
    if "retention" in own:
        listener.notice("probing", "retention on structures unlike the data")
        drifts = _retention(backbone, run.adapter)
    if own & {"dimers", "compression"}:
        listener.notice("probing", "short range: dimers and compression")
    return _Found(drifts, _short_range(own, backbone, run.adapter, splits.train, options), runs)


def _merged(parts: Sequence[_Found]) -> _Found:
    """Results of all processes together."""
    rows = [row for part in parts for row in part.drift[0]]
    elements = [element for part in parts for element in part.drift[1]]
    runs = {index: result for part in parts for index, result in part.dynamics.items()}
    return _Found((rows, elements), {k: v for part in parts for k, v in part.scans.items()}, dict(sorted(runs.items())))


def _written(files: ProbeFolder, found: _Found) -> list[verdict.Check]:
    """Write the tables, and judge the results."""
    rows, elements = found.drift
    groups = drift.grouped(rows)
    files.drift.write(sorted(rows, key=lambda row: -row.force_mev_per_ang))
    files.elements.write(elements)
    files.groups.write(groups)
    return [*verdict.drift_checks(groups[0]), *_write_scans(files, found), *_write_dynamics(files, found)]


def _retention(backbone: AbstractBackbone, adapter: Adapter) -> tuple[list[drift.DriftRow], list[drift.ElementDrift]]:
    """Drift per structure and per element."""
    structures, base, adapted = both_predictions(backbone, adapter)
    rows = drift.drift_rows(structures, base, adapted, adapter.elements)
    return rows, drift.element_drifts(structures, base, adapted, adapter.elements)


def _short_range(
    own: AbstractSet[str],
    backbone: AbstractBackbone,
    adapter: Adapter,
    train: Sequence[LabelledFrame],
    options: _Options,
) -> dict[str, list[scans.Scan]]:
    """Dimers of all pairs of the data's elements, and compressed training structures, as far as `own` names them."""
    base = partial(predict_structures, backbone)

    def adapted(structures: Sequence[Atoms]) -> dict[Quantity, Floats]:
        with adapter.applied(backbone.model):
            return base(structures)

    found = {}
    if "dimers" in own:
        found["dimers"] = scans.dimer_scans(base, adapted, adapter.elements, backbone.cutoff)
    if "compression" in own:
        chosen = [frame.atoms for frame in _starts(train, options.compressed, options.dynamics.seed)]
        found["compression"] = scans.compression_scans(base, adapted, chosen)
    return found


def _write_scans(files: ProbeFolder, found: _Found) -> Iterator[verdict.Check]:
    """Write the scans, and judge them."""
    for test, unit in (("dimers", "eV"), ("compression", "eV/atom")):
        curves = found.scans[test]
        rows = [scans.judged(scan) for scan in curves]
        files.scans(test).write(rows)
        files.scan_curves(test).write(scans.scan_points(curves))
        yield verdict.scan_check(f"short range: {test}", unit, rows)


def _dynamics(
    backbone: AbstractBackbone,
    adapter: Adapter,
    splits: FrameSplits,
    options: _Options,
    group: Group,
    listener: Listener,
) -> dict[int, tuple[list[DynamicsRow], Atoms | None]]:
    """NVT and NVE runs of the adapted model, from the starts that belong to this process."""
    listener.notice(
        "probing",
        f"dynamics: {counted(options.dynamics.steps, 'step')} of NVT and of NVE from "
        f"{counted(options.starts, 'structure')} (--steps, --starts)",
    )
    results = {}
    frames = [*splits.train, *splits.valid, *splits.test]
    with adapter.applied(backbone.model):
        for index, start in enumerate(_starts(frames, options.starts, options.dynamics.seed)):
            if group.owns(index):
                data = [frame.atoms for frame in frames if frame.formula == start.formula]
                name = f"{index} {start.formula}"
                results[index] = dynamics(name, start.atoms, AdaptedCalculator(backbone), data, options.dynamics)
    return results


def _write_dynamics(files: ProbeFolder, found: _Found) -> list[verdict.Check]:
    """Write the runs and the frames of failures, and judge the runs."""
    rows = [row for run_rows, _ in found.dynamics.values() for row in run_rows]
    failures = [failed for _, failed in found.dynamics.values() if failed is not None]
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
