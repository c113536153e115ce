"""Short molecular dynamics, to see whether a model holds a structure together and conserves energy.

A run is NVT (Langevin) from a structure, then NVE (velocity Verlet) from its end, so that the energy drift is that of
a thermalised state. A run ends at the first failure, and the frame of the failure is kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.data import atomic_numbers, covalent_radii
from ase.md.langevin import Langevin
from ase.md.md import MolecularDynamics
from ase.md.verlet import VelocityVerlet
from ase.neighborlist import neighbor_list
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from equisparse.data.frames import Floats
from equisparse.errors import DataError, InputError
from equisparse.inference.structures import bare

Failure = Literal["", "not finite", "fused", "lost", "too hot"]
"""Reason for which a run was stopped; empty if it was not."""

FUSED = 0.6
"""Two atoms are fused below this fraction of the sum of covalent radii; a triple bond vibrates down to 0.7."""
BONDED = 1.6
"""Two atoms are bonded up to this fraction of the sum of covalent radii."""
HOTTEST = 3.0
"""A run has blown up above this multiple of the chosen temperature, and eight standard deviations above it."""
FRICTION = 0.01
"""Friction of the thermostat, 1/fs."""
LIGHT, TIMESTEPS = 1.5, (0.5, 1.0)
"""Largest atomic mass (u) that needs the shorter of the two time steps, fs."""

_CHECK_EVERY = 5
_RDF_REACH, _RDF_BIN, _RDF_WIDTH = 6.0, 0.05, 2.0
"""Largest distance and width of a bin, Angstrom; width of the smoothing, bins."""


@dataclass(frozen=True)
class DynamicsOptions:
    """Temperature, length and seed of the runs.

    Parameters
    ----------
    temperature : float
        K.
    steps : int
        Steps of each of the two runs.
    timestep : float or None
        fs; by default 0.5 with hydrogen, else 1.
    seed : int
        Seed of velocities and thermostat.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    temperature: float = 300.0
    steps: int = 500
    timestep: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("temperature", self.temperature, 0, 20000),
            ("steps", self.steps, 9, 10**8),
            ("timestep", 1.0 if self.timestep is None else self.timestep, 0, 10),
        ):
            if not low < value <= high:
                expected = f"more than {low}, at most {high}"
                raise InputError(f"The option {name} is out of range.", given=str(value), expected=expected)


@dataclass(frozen=True)
class DynamicsRow:
    """Result of one run.

    Parameters
    ----------
    name : str
        Formula and index of the initial structure.
    ensemble : {"NVT", "NVE"}
    picoseconds : float
        Length of the run until its end or failure.
    failure : str
        Empty, ``not finite``, ``fused``, ``lost`` or ``too hot``.
    hottest, mean_temperature : float
        Highest and mean temperature, K.
    drift_mev_per_atom_ps : float or None
        Slope of the total energy, meV/atom/ps; None for NVT and failed runs.
    rdf_distance : float or None
        Difference between the pair distances of run and data, 0 (equal) to 1 (disjoint); None for failed runs.
    """

    name: str
    ensemble: str
    picoseconds: float
    failure: str
    hottest: float
    mean_temperature: float
    drift_mev_per_atom_ps: float | None
    rdf_distance: float | None


@dataclass
class _Record:
    """Values recorded during a run."""

    temperature: list[float] = field(default_factory=list)
    energy: list[float] = field(default_factory=list)
    frames: list[Atoms] = field(default_factory=list)
    failure: Failure = ""


def dynamics(
    name: str, start: Atoms, calculator: Calculator, data: Sequence[Atoms], options: DynamicsOptions
) -> tuple[list[DynamicsRow], Atoms | None]:
    """Run NVT, then NVE, from one structure.

    Parameters
    ----------
    name : str
        Name of the structure in the results.
    start : Atoms
        Initial structure; it is not changed.
    calculator : Calculator
        Calculator of the model.
    data : sequence of Atoms
        Frames of the same composition, whose pair distances those of the runs are compared with; may be empty.
    options : DynamicsOptions

    Returns
    -------
    rows : list of DynamicsRow
        One per run; only the first if that failed.
    failed : Atoms or None
        Frame of the first failure, with its name in ``info["failure"]``.
    """
    generator = np.random.default_rng(options.seed)
    atoms = heated(start, calculator, options.temperature, generator)
    timestep = timestep_of(atoms, options)
    rows = []
    for ensemble, driver in _drivers(atoms, timestep, options, generator):
        record = _run(atoms, start, driver, options)
        rows.append(_row(name, ensemble, record, timestep, data))
        if record.failure:
            return rows, _kept(atoms, f"{name}, {ensemble}: {record.failure}")
    return rows, None


def thermal_run(start: Atoms, calculator: Calculator, options: DynamicsOptions) -> tuple[list[Atoms], Failure]:
    """Frames of every fifth step of an NVT run (Langevin), and why the run failed; empty if it did not."""
    generator = np.random.default_rng(options.seed)
    atoms = heated(start, calculator, options.temperature, generator)
    driver = thermostat(atoms, timestep_of(atoms, options), options.temperature, generator)
    record = _run(atoms, start, driver, options)
    return record.frames, record.failure


def heated(start: Atoms, calculator: Calculator, temperature: float, generator: np.random.Generator) -> Atoms:
    """Copy of a structure with a calculator and with random velocities of a temperature, K."""
    atoms = Atoms(start.numbers, positions=start.positions, cell=start.cell, pbc=start.pbc, calculator=calculator)
    thermal = np.sqrt(atoms.get_masses() * units.kB * temperature)
    atoms.set_momenta(thermal[:, None] * generator.standard_normal((len(atoms), 3)))
    return atoms


def thermostat(atoms: Atoms, timestep: float, temperature: float, generator: np.random.Generator) -> MolecularDynamics:
    """Langevin dynamics with a time step in fs at a temperature in K."""
    step, friction = timestep * units.fs, FRICTION / units.fs
    return Langevin(atoms, step, temperature_K=temperature, friction=friction, fixcm=False, rng=generator)


def timestep_of(atoms: Atoms, options: DynamicsOptions) -> float:
    """Time step, fs: the chosen one, or that which the lightest atom needs."""
    short, long = TIMESTEPS
    return options.timestep or (short if atoms.get_masses().min() < LIGHT else long)


def failure_of(atoms: Atoms, start: Atoms) -> Failure:
    """Failure of the geometry of `atoms`, compared with `start`; empty if there is none."""
    if not np.isfinite(atoms.positions).all():
        return "not finite"
    if len(neighbor_list("i", atoms, _reach(atoms, FUSED))) > len(neighbor_list("i", start, _reach(start, FUSED))):
        return "fused"
    return "lost" if _n_pieces(atoms) > _n_pieces(start) else ""


def too_hot(temperature: float, n_atoms: int, target: float) -> bool:
    """Return whether a temperature (K) is beyond fluctuations, whose relative standard deviation is sqrt(2 / 3N)."""
    return not temperature <= target * max(HOTTEST, 1 + 8 * np.sqrt(2 / (3 * n_atoms)))


def energy_slope(energy: Sequence[float], timestep: float, n_atoms: int) -> float:
    """Least-squares slope, meV/atom/ps, of total energies in eV, one per step of `timestep` fs."""
    time = 1e-3 * timestep * np.arange(len(energy))
    return float(1e3 * np.polyfit(time, np.asarray(energy) - energy[0], 1)[0] / n_atoms)


def pair_distances(frames: Sequence[Atoms]) -> Floats:
    """Smoothed histogram of all pair distances up to 6 Angstrom, in bins of 0.05 Angstrom, with a sum of 1."""
    distances = np.concatenate([neighbor_list("d", atoms, _RDF_REACH) for atoms in frames])
    counts, _ = np.histogram(distances, np.arange(0, _RDF_REACH + _RDF_BIN, _RDF_BIN))
    smooth = gaussian_filter1d(counts.astype(float), _RDF_WIDTH)
    return np.asarray(smooth / max(smooth.sum(), 1e-300))


def rdf_distance(first: Sequence[Atoms], second: Sequence[Atoms]) -> float:
    """Total-variation distance of the pair distances of two sets of frames, from 0 (equal) to 1 (disjoint)."""
    return float(0.5 * np.abs(pair_distances(first) - pair_distances(second)).sum())


def _drivers(
    atoms: Atoms, timestep: float, options: DynamicsOptions, generator: np.random.Generator
) -> Iterator[tuple[str, MolecularDynamics]]:
    """Name and driver of both runs; the second driver is made after the first run."""
    yield "NVT", thermostat(atoms, timestep, options.temperature, generator)
    yield "NVE", VelocityVerlet(atoms, timestep * units.fs)


def _run(atoms: Atoms, start: Atoms, driver: MolecularDynamics, options: DynamicsOptions) -> _Record:
    """Run until the last step or the first failure."""
    record = _Record()
    for step, finite in enumerate(finite_steps(driver, options.steps)):
        if not finite:
            record.failure = "not finite"
            break
        temperature = float(atoms.get_temperature())
        record.temperature.append(temperature)
        record.energy.append(float(atoms.get_total_energy()))
        if not np.isfinite(record.energy[-1]):
            record.failure = "not finite"
        elif step % _CHECK_EVERY == 0:
            record.failure = failure_of(atoms, start)
            record.frames.append(bare(atoms))
        if not record.failure and too_hot(temperature, len(atoms), options.temperature):
            record.failure = "too hot"
        if record.failure:
            break
    return record


def finite_steps(driver: MolecularDynamics, count: int) -> Iterator[bool]:
    """Steps of a run, the first before any motion: True, or False at the end if positions are no longer finite."""
    try:
        for _ in driver.irun(count):
            yield True
    except DataError:  # calculators refuse such positions
        yield False


def _row(name: str, ensemble: str, record: _Record, timestep: float, data: Sequence[Atoms]) -> DynamicsRow:
    """Result of a recorded run."""
    n_atoms, whole = len(record.frames[0]) if record.frames else 1, not record.failure
    slope = energy_slope(record.energy, timestep, n_atoms) if ensemble == "NVE" and whole else None
    return DynamicsRow(
        name=name,
        ensemble=ensemble,
        picoseconds=1e-3 * timestep * (len(record.energy) - 1),
        failure=record.failure,
        hottest=max(record.temperature),
        mean_temperature=float(np.mean(record.temperature)),
        drift_mev_per_atom_ps=slope,
        rdf_distance=rdf_distance(record.frames[len(record.frames) // 2 :], data) if whole and data else None,
    )


def _kept(atoms: Atoms, failure: str) -> Atoms:
    """Copy of the frame of a failure without velocities and calculator."""
    frame = bare(atoms)
    frame.info["failure"] = failure
    return frame


def _reach(atoms: Atoms, factor: float) -> dict[tuple[str, str], float]:
    """Cutoff of each pair of elements, Angstrom: `factor` times the sum of covalent radii."""
    symbols = sorted(set(atoms.get_chemical_symbols()))
    radius = {symbol: factor * covalent_radii[atomic_numbers[symbol]] for symbol in symbols}
    return {(a, b): radius[a] + radius[b] for a in symbols for b in symbols}


def _n_pieces(atoms: Atoms) -> int:
    """Number of parts that no bond connects."""
    i, j = neighbor_list("ij", atoms, _reach(atoms, BONDED))
    links: Any = coo_array((np.ones(len(i)), (i, j)), shape=(len(atoms), len(atoms)))
    return int(connected_components(links, directed=False)[0])
