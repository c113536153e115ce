"""Scans of short distances: dimers of all element pairs and compressed structures, of a model against its base.

A curve runs from large to small distances. Its well is the lowest point of its outer part; from there inwards the
energy has to rise. A fall is the largest drop of the energy on that way. A model has a hole where it falls clearly
deeper than its base.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from numpy.typing import NDArray

from equisparse.data.frames import Floats
from equisparse.quantities import ENERGY
from equisparse.robustness.predictions import Predict

DIMER_HOLE = 0.05
"""A fall of a dimer that is deeper than the base's by more than this is a hole, eV: twice kT at 300 K."""
COMPRESSION_HOLE = 0.025
"""The same for compressed structures, eV/atom: kT at 300 K."""

_NEAREST, _STEP = 0.5, 0.04
"""Smallest distance of a dimer as a fraction of the sum of covalent radii; step in Angstrom."""
_BOND = (0.7, 1.3)
"""Range of the well of a dimer, as fractions of the sum of covalent radii: triple bonds are at 0.75."""
_SMALLEST, _N_VOLUMES = 0.6, 25
"""Smallest volume as a fraction of the given one; number of points of a curve."""
_OUTER_VOLUME = 0.85
"""Smallest volume, as a fraction of the given one, at which the well of a compression curve may be."""


@dataclass(frozen=True)
class Scan:
    """Energies of the base and of the adapted model along one path, from large to small distances.

    Parameters
    ----------
    name : str
        Pair of elements such as ``C-H``, or index and formula of a structure.
    x : array, shape (n_points,)
        Distance in Angstrom, or volume as a fraction of the given one; falling.
    base, adapted : array, shape (n_points,)
        Energies minus that of the first point, eV for a dimer, eV/atom for a structure.
    outer : array of bool, shape (n_points,)
        Points among which the well is.
    hole : float
        Difference of the two models' falls from which on the adapted model has a hole, same unit.
    """

    name: str
    x: Floats
    base: Floats
    adapted: Floats
    outer: NDArray[np.bool_]
    hole: float


@dataclass(frozen=True)
class ScanRow:
    """Result of one scan; energies in eV for a dimer, eV/atom for a structure.

    Parameters
    ----------
    name : str
    fall_base, fall_adapted : float
        Largest drop of the energy inwards of the well; 0 if the energy rises all the way.
    fall_at : float
        Distance or volume at which the fall of the adapted model ends.
    well_base, well_adapted : float
        Depth of the lowest point of the outer part below the first point.
    hole : bool
        Whether the adapted model falls deeper than its base by more than `Scan.hole`, or is not finite.
    collapse : bool
        Whether the floor of the hole is lower than the well: atoms that get there stay there.
    """

    name: str
    fall_base: float
    fall_adapted: float
    fall_at: float
    well_base: float
    well_adapted: float
    hole: bool
    collapse: bool


@dataclass(frozen=True)
class ScanPoint:
    """One point of a scan.

    Parameters
    ----------
    name : str
        Of the scan.
    x : float
        Distance, Angstrom, or volume over the given one.
    base, adapted : float
        Energies of both models less those of the first point, eV for a dimer, eV/atom for a structure.
    """

    name: str
    x: float
    base: float
    adapted: float


def scan_points(scans: Sequence[Scan]) -> list[ScanPoint]:
    """Points of all scans, rounded to what a plot shows."""
    points = []
    for scan in scans:
        for x, base, adapted in zip(scan.x, scan.base, scan.adapted, strict=True):
            points.append(ScanPoint(scan.name, float(f"{x:.4f}"), float(f"{base:.5g}"), float(f"{adapted:.5g}")))
    return points


def dimer_scans(base: Predict, adapted: Predict, elements: Sequence[int], cutoff: float) -> list[Scan]:
    """Scan all pairs of `elements` in vacuum, including each element with itself.

    Parameters
    ----------
    base, adapted : callable
        Predictors of both models.
    elements : sequence of int
        Atomic numbers.
    cutoff : float
        Largest distance, Angstrom.
    """
    pairs = list(combinations_with_replacement(sorted(elements), 2))
    distances = [np.arange(_NEAREST * _bond(pair), cutoff, _STEP)[::-1] for pair in pairs]
    dimers = []
    for pair, axis in zip(pairs, distances, strict=True):
        dimers += [Atoms(pair, positions=[(0, 0, 0), (0, 0, distance)]) for distance in axis]
    curves = _curves(base, adapted, dimers, distances)
    scans = []
    for pair, axis, (of_base, of_adapted) in zip(pairs, distances, curves, strict=True):
        ratio = axis / _bond(pair)
        outer = (ratio >= _BOND[0]) & (ratio <= _BOND[1])
        name = "-".join(chemical_symbols[z] for z in pair)
        scans.append(Scan(name, axis, of_base, of_adapted, outer, DIMER_HOLE))
    return scans


def compression_scans(base: Predict, adapted: Predict, structures: Sequence[Atoms]) -> list[Scan]:
    """Scan structures from their volume to 60 % of it, all lengths scaled alike; molecules about their centre."""
    volumes = np.linspace(1.0, _SMALLEST, _N_VOLUMES)
    scaled = [_scaled(atoms, volume ** (1 / 3)) for atoms in structures for volume in volumes]
    curves = _curves(base, adapted, scaled, [volumes] * len(structures))
    outer = volumes >= _OUTER_VOLUME
    scans = []
    for index, (atoms, (of_base, of_adapted)) in enumerate(zip(structures, curves, strict=True)):
        name, size = f"{index} {atoms.symbols.get_chemical_formula()}", len(atoms)
        scans.append(Scan(name, volumes, of_base / size, of_adapted / size, outer, COMPRESSION_HOLE))
    return scans


def judged(scan: Scan) -> ScanRow:
    """Falls, wells and holes of a scan."""
    well_base, fall_base, _, _ = _wall(scan.base, scan.outer)
    well, fall, end, floor = _wall(scan.adapted, scan.outer)
    hole = not np.isfinite(scan.adapted).all() or bool(fall > fall_base + scan.hole)
    collapse = hole and not floor >= -well
    return ScanRow(scan.name, fall_base, fall, float(scan.x[end]), well_base, well, hole, collapse)


def _wall(curve: Floats, outer: NDArray[np.bool_]) -> tuple[float, float, int, float]:
    """Depth of the well, largest fall inwards of it, the index of the point where that ends, and the energy there."""
    candidates = np.flatnonzero(outer)
    start = int(candidates[np.argmin(curve[candidates])])
    wall = curve[start:]
    falls = np.maximum.accumulate(wall) - wall
    end = int(np.argmax(falls))
    return float(-curve[start]), float(falls[end]), start + end, float(wall[end])


def _curves(
    base: Predict, adapted: Predict, structures: Sequence[Atoms], axes: Sequence[Floats]
) -> Iterator[tuple[Floats, Floats]]:
    """Energies of both models along each path, minus those of its first point; `structures` lists path by path."""
    if not structures:
        return
    ends = np.cumsum([len(axis) for axis in axes])[:-1]
    of_base = np.split(base(structures)[ENERGY], ends)
    of_adapted = np.split(adapted(structures)[ENERGY], ends)
    for one, other in zip(of_base, of_adapted, strict=True):
        yield one - one[0], other - other[0]


def _bond(pair: Sequence[int]) -> float:
    """Sum of the covalent radii, Angstrom (Cordero 2008, as in ASE)."""
    return float(covalent_radii[list(pair)].sum())


def _scaled(atoms: Atoms, factor: float) -> Atoms:
    """A plain copy with all lengths scaled, about the centre where there is no cell."""
    centre = atoms.positions.mean(axis=0)
    positions = centre + factor * (atoms.positions - centre)
    copy = Atoms(atoms.numbers, positions=positions, cell=atoms.cell.array, pbc=atoms.pbc)
    if atoms.pbc.any():
        copy.positions = factor * atoms.positions
        copy.set_cell(factor * atoms.cell.array)
    return copy
