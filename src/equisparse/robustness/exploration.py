"""Molecular dynamics with an ensemble until it no longer knows what it sees."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from equisparse.inference.structures import bare
from equisparse.interpret.calibration import atom_spread
from equisparse.robustness.dynamics import (
    DynamicsOptions,
    Failure,
    failure_of,
    finite_steps,
    heated,
    thermostat,
    timestep_of,
    too_hot,
)

Stop = Failure | Literal["uncertain"]
"""Reason for which a run ended; empty if it made all its steps."""


@dataclass(frozen=True)
class Walk:
    """One run of molecular dynamics.

    Parameters
    ----------
    stop : str
        ``uncertain`` if the spread crossed the limit; a failure of the geometry as in
        `equisparse.robustness.dynamics`; empty if the run made all its steps.
    picoseconds : float
        Length of the run.
    largest : float
        Largest spread of the run, eV/Angstrom.
    last : Atoms
        Frame at which the run ended, without velocities; `info` holds ``force_std`` (eV/Angstrom) and
        ``picoseconds``.
    frames : tuple of Atoms
        Frames recorded on the way, in the same form.
    """

    stop: Stop
    picoseconds: float
    largest: float
    last: Atoms
    frames: tuple[Atoms, ...]


def walk(start: Atoms, calculator: Calculator, limit: float, options: DynamicsOptions, every: int) -> Walk:
    """Run Langevin dynamics until the spread of the forces on one atom crosses a limit.

    Parameters
    ----------
    start : Atoms
        Initial structure; it is not changed.
    calculator : Calculator
        Gives ``forces_std``, such as that of an ensemble.
    limit : float
        eV/Angstrom.
    options : DynamicsOptions
    every : int
        Number of steps from one recorded frame to the next.
    """
    generator = np.random.default_rng(options.seed)
    atoms = heated(start, calculator, options.temperature, generator)
    timestep = timestep_of(atoms, options)
    driver = thermostat(atoms, timestep, options.temperature, generator)
    stop: Stop = ""
    frames: list[Atoms] = []
    largest, last = 0.0, _frame(atoms, 0.0, 0.0)
    for step, finite in enumerate(finite_steps(driver, options.steps)):
        if not finite:
            stop = "not finite"
            break
        spread = largest_spread(atoms)
        last = _frame(atoms, 1e-3 * timestep * step, spread)
        largest = max(largest, float(last.info["force_std"]))
        if step % every == 0:
            frames.append(last)
        stop = _stop(atoms, start, spread, limit, options.temperature)
        if stop:
            break
    return Walk(stop, float(last.info["picoseconds"]), largest, last, tuple(frames))


def largest_spread(atoms: Atoms) -> float:
    """Spread of the forces on the least certain atom of a structure with the calculator of an ensemble, eV/Angstrom."""
    deviation = atoms.calc.get_property("forces_std", atoms)
    return float(atom_spread(np.asarray(deviation)).max())


def _stop(atoms: Atoms, start: Atoms, spread: float, limit: float, temperature: float) -> Stop:
    """Reason for which a run ends at this step; empty if it goes on."""
    if not np.isfinite(spread):
        return "not finite"
    if spread > limit:
        return "uncertain"
    failure = failure_of(atoms, start)
    if not failure and too_hot(float(atoms.get_temperature()), len(atoms), temperature):
        return "too hot"
    return failure


def _frame(atoms: Atoms, picoseconds: float, spread: float) -> Atoms:
    """Copy of a frame without velocities and calculator."""
    frame = bare(atoms)
    frame.info = {"picoseconds": round(picoseconds, 6), "force_std": round(spread, 6)}
    return frame
