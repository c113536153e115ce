"""Find frames that an ensemble does not know, by molecular dynamics until its spread crosses a limit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms

from equisparse.adapters.ensemble_file import ENSEMBLE, Ensemble, read_ensemble
from equisparse.backbones.base import AbstractBackbone
from equisparse.deploy.ensemble_calculator import EnsembleCalculator, ensemble_calculator
from equisparse.errors import InputError
from equisparse.inference.structures import check_structures
from equisparse.inputs.base import configured_base
from equisparse.inputs.frames import Frames, load_structures, write_unlabelled
from equisparse.inputs.splits import read_splits
from equisparse.options import check_positive
from equisparse.robustness.dynamics import DynamicsOptions
from equisparse.robustness.exploration import Stop, Walk, largest_spread, walk
from equisparse.run.files import EnsembleFolder
from equisparse.run.folder import Run, opened_run
from equisparse.tasks.ensemble import EnsembleRun, folder_of
from equisparse.tasks.listener import Listener

_MEV = 1000.0
_FACTOR, _MOST_KNOWN = 3.0, 50
"""Limit over the median spread of validation frames, of which a few may be extreme; largest number of these frames."""


@dataclass(frozen=True)
class ExploredRun:
    """One run of molecular dynamics with an ensemble.

    Parameters
    ----------
    formula : str
        Formula of the initial structure.
    seed : int
        Seed of velocities and thermostat.
    stop : str
        ``uncertain`` if the spread crossed the limit; ``fused``, ``lost``, ``too hot`` or ``not finite`` for a failure;
        empty if the run made all its steps.
    picoseconds : float
        Length of the run.
    largest_force_std_mev_per_ang : float
        Largest calibrated spread of the forces on one atom.
    """

    formula: str
    seed: int
    stop: Stop
    picoseconds: float
    largest_force_std_mev_per_ang: float


@dataclass(frozen=True)
class Exploration:
    """Results of an exploration.

    Parameters
    ----------
    limit_mev_per_ang : float
        Limit of the spread.
    runs : tuple of ExploredRun
    frames : tuple of Atoms
        Frames at which runs ended early, to be computed with DFT; `info` holds ``reason``, ``force_std`` (eV/Angstrom)
        and ``picoseconds``.
    recorded : tuple of Atoms
        Frames recorded during all runs: a pool for `equisparse.select_frames`.
    """

    limit_mev_per_ang: float
    runs: tuple[ExploredRun, ...]
    frames: tuple[Atoms, ...]
    recorded: tuple[Atoms, ...]


def explore(
    ensemble: str | Path | EnsembleRun,
    structure: Frames,
    *,
    limit: float | None = None,
    temperature: float = 300.0,
    steps: int = 2000,
    timestep: float | None = None,
    runs: int = 1,
    every: int = 10,
    seed: int = 0,
    out: str | Path | None = None,
    trajectory: str | Path | None = None,
    device: str = "auto",
    listener: Listener | None = None,
) -> Exploration:
    """Run molecular dynamics with the mean forces of an ensemble, and stop where its spread crosses a limit.

    The spread of a frame is the one that `equisparse.select_frames` uses: the calibrated standard deviation of the
    forces over the members, root mean square over the components of the least certain atom. A run also stops where
    dynamics of `equisparse.probe` would fail.

    Parameters
    ----------
    ensemble : str, Path or EnsembleRun
        A finished ensemble or its folder.
    structure : files, globs, a packaged set, Atoms or labelled frames
        Initial structures; labels are not read.
    limit : float, optional
        Limit of the spread, meV/Angstrom. By default, three times the median over validation frames.
    temperature : float
        K.
    steps : int
        Largest number of steps of each run.
    timestep : float, optional
        fs; by default 0.5 with hydrogen, else 1.
    runs : int
        Number of runs from each structure, with seeds from `seed` on.
    every : int
        Number of steps from one recorded frame to the next.
    seed : int
    out : str or Path, optional
        Extended XYZ file of the frames at which runs ended early; not written if there are none.
    trajectory : str or Path, optional
        Extended XYZ file of all recorded frames.
    device : str
    listener : Listener, optional
        Receives the limit, and each run as it begins.

    Raises
    ------
    EquisparseError
        If the folder holds no ensemble, structures are missing or unknown to the base, or an option is invalid.
    """
    listener = listener or Listener()
    check_positive(limit=1.0 if limit is None else limit, runs=runs, every=every)
    options = DynamicsOptions(temperature, steps, timestep, seed)
    folder = folder_of(ensemble)
    members = _read(folder)
    starts = load_structures(structure)
    first = opened_run(EnsembleFolder(folder).member(next(iter(members.adapters))).path)
    calculator = _calculator(configured_base(first.config, device), members, starts)
    threshold = _default_limit(first, calculator) if limit is None else limit / _MEV
    listener.notice("limit", f"{_MEV * threshold:.0f} meV/Angstrom")
    walks = []
    for index, start in enumerate(starts):
        for number in range(seed, seed + runs):
            listener.notice("exploring", f"structure {index} ({start.symbols.get_chemical_formula()}), seed {number}")
            found = walk(start, calculator, threshold, replace(options, seed=number), every)
            walks.append((_row(start, number, found), found))
    return _written(_exploration(threshold, walks), out, trajectory)


def _read(folder: Path) -> Ensemble:
    """Ensemble of a folder; the error for a single run says that it has no spread."""
    if not (folder / ENSEMBLE).is_file() and (folder / "metrics.json").is_file():
        raise InputError(
            "A single run has no spread that could cross a limit.",
            given=str(folder),
            expected="the folder of an ensemble",
            next_step="train one with `equisparse ensemble`, or test the run with `equisparse probe`",
        )
    return read_ensemble(folder)


def _calculator(backbone: AbstractBackbone, ensemble: Ensemble, starts: Sequence[Atoms]) -> EnsembleCalculator:
    """Calculator of an ensemble that can predict the initial structures."""
    for adapter in ensemble.adapters.values():
        adapter.check_spin_free("exploring with")
    check_structures(backbone, starts)
    return ensemble_calculator(backbone, ensemble)


def _default_limit(run: Run, calculator: EnsembleCalculator) -> float:
    """Three times the median of the spreads of validation frames, eV/Angstrom."""
    frames = read_splits(run.config).valid
    chosen = np.linspace(0, len(frames) - 1, min(len(frames), _MOST_KNOWN)).round().astype(int)
    spreads = []
    for index in chosen.tolist():
        atoms = frames[index].atoms.copy()
        atoms.calc = calculator
        spreads.append(largest_spread(atoms))
    return _FACTOR * float(np.median(spreads))


def _row(start: Atoms, seed: int, found: Walk) -> ExploredRun:
    """Result of one run."""
    formula = str(start.symbols.get_chemical_formula())
    return ExploredRun(formula, seed, found.stop, found.picoseconds, _MEV * found.largest)


def _exploration(limit: float, walks: Sequence[tuple[ExploredRun, Walk]]) -> Exploration:
    """Results of all runs, with the reason in the frames at which they ended early."""
    frames: list[Atoms] = []
    recorded: list[Atoms] = []
    for row, found in walks:
        recorded += found.frames
        if found.stop:
            last = found.last.copy()
            spread = _MEV * last.info["force_std"]
            last.info["reason"] = f"{found.stop} after {row.picoseconds:.3f} ps: force spread {spread:.0f} meV/Angstrom"
            frames.append(last)
    return Exploration(_MEV * limit, tuple(row for row, _ in walks), tuple(frames), tuple(recorded))


def _written(found: Exploration, out: str | Path | None, trajectory: str | Path | None) -> Exploration:
    """The same results, written to the files that are asked for."""
    if out is not None and found.frames:
        write_unlabelled(Path(out), found.frames)
    elif out is not None:
        Path(out).unlink(missing_ok=True)  # frames of an earlier exploration are not those of this one
    if trajectory is not None:
        write_unlabelled(Path(trajectory), found.recorded)
    return found
