"""Radial distribution functions: of frames, and of molecular dynamics with a model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.neighborlist import neighbor_list

from equisparse.data.frames import Floats
from equisparse.observables.cells import multiples
from equisparse.observables.relaxation import NotRelaxedError
from equisparse.robustness.dynamics import DynamicsOptions, thermal_run

REACH, BIN = 6.0, 0.05
"""Largest distance, and width of a bin, Angstrom."""
_LOWEST_PEAK = 1.0
"""A peak is higher than the mean density."""


@dataclass(frozen=True)
class RadialDistribution:
    """Radial distribution function of all atoms.

    Parameters
    ----------
    distances : array, shape (n,)
        Centres of the bins, Angstrom.
    values : array, shape (n,)
        Density of atoms at a distance from an atom over the mean density.
    """

    distances: Floats
    values: Floats

    @property
    def first_peak(self) -> float | None:
        """Distance of the first peak, Angstrom; None if there is none within the reach."""
        inner = self.values[1:-1]
        peaks = (inner > _LOWEST_PEAK) & (inner >= self.values[:-2]) & (inner > self.values[2:])
        return float(self.distances[1:-1][peaks][0]) if peaks.any() else None


def radial_distribution(frames: Sequence[Atoms]) -> RadialDistribution:
    """Mean radial distribution function of periodic frames, up to 6 Angstrom in bins of 0.05 Angstrom.

    Cells may be smaller than the reach, because images of an atom are counted too; `ase.geometry.rdf` refuses them.
    """
    edges = np.linspace(0.0, REACH, round(REACH / BIN) + 1)
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    values = np.zeros(len(shells))
    for atoms in frames:
        counts, _ = np.histogram(neighbor_list("d", atoms, REACH), edges)
        density = len(atoms) / atoms.get_volume()
        values += counts / (len(atoms) * density * shells)
    return RadialDistribution((edges[1:] + edges[:-1]) / 2, values / len(frames))


def thermal_distribution(
    atoms: Atoms, calculator: Calculator, length: float, options: DynamicsOptions
) -> RadialDistribution:
    """Radial distribution function of the second half of a run of molecular dynamics (NVT, Langevin).

    Parameters
    ----------
    atoms : Atoms
        Relaxed cell of a crystal or a liquid.
    calculator : Calculator
    length : float
        Smallest distance of opposite faces of the supercell, Angstrom.
    options : DynamicsOptions

    Raises
    ------
    NotRelaxedError
        If the run fails, such as by fused atoms.
    """
    frames, failure = thermal_run(atoms.repeat(multiples(atoms, length)), calculator, options)
    if failure:
        raise NotRelaxedError(f"molecular dynamics at {options.temperature:g} K failed: {failure}")
    return radial_distribution(frames[len(frames) // 2 :])
