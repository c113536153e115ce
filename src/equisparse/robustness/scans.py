"""Short range: dimers of all element pairs, and compressed structures, of a model against its base.

A curve runs from far to near. Its well is the lowest point of the outer part; inwards from there energy has to rise. A
fall is the largest drop below what was reached before on the way in: a hole. It is judged against the base's own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from numpy.typing import NDArray

from equisparse.data.frames import Floats
from equisparse.robustness.predictions import Predict

DIMER_HOLE = 0.05
"""eV: a fall deeper than the base's by more than this is a hole; twice kT at 300 K."""
COMPRESSION_HOLE = 0.025
"""eV/atom, for compressed structures: kT at 300 K."""

_NEAREST, _STEP = 0.5, 0.04
"""First distance of a dimer over the sum of covalent radii; step in Angstrom."""
_BOND = (0.7, 1.3)
"""Distances over the sum of covalent radii between which a dimer's well is looked for: triple bonds are at 0.75."""
_SMALLEST, _N_VOLUMES = 0.6, 25
"""Smallest volume over the given one; points of a curve."""
_OUTER_VOLUME = 0.85
"""Volume over the given one down to which the well of a compression curve is looked for."""


@dataclass(frozen=True)
class Scan:
    """Energies of the base and of the adapted model along one path, from far to near.

    Parameters
    ----------
    name : str
        Such as ``C-H``, or the formula of a structure.
    x : array, shape (n_points,)
        Distance, Angstrom, or volume over the given one; falling.
    base, adapted : array, shape (n_points,), eV for a dimer, eV/atom for a structure
        Less the energy of the first point.
    outer : array of bool, shape (n_points,)
        Where the well is looked for.
    hole : float
        Depth below the base's fall at which a fall counts, same unit.
    """

    name: str
    x: Floats
    base: Floats
    adapted: Floats
    outer: NDArray[np.bool_]
    hole: float


@dataclass(frozen=True)
class ScanRow:
    """What one scan gave.

    Parameters
    ----------
    name : str
    fall_base, fall_adapted : float
        Largest drop of the energy on the way in from the well; 0 if it rises all the way.
    fall_at : float
        Where the adapted model's fall ends, on the axis of the scan.
    well_base, well_adapted : float
        Depth of the lowest point of the outer part below the first point.
    hole : bool
        Whether the adapted model falls deeper than its base, or is not finite.
    collapse : bool
        Whether such a hole's floor lies below the well: what gets there stays there.
    """

    name: str
    fall_base: float
    fall_adapted: float
    fall_at: float
    well_base: float
    well_adapted: float
    hole: bool
    collapse: bool


def dimer_scans(base: Predict, adapted: Predict, elements: Sequence[int], cutoff: float) -> list[Scan]:
    """Scans of all pairs of `elements`, each with itself, too, in vacuum.

    Parameters
    ----------
    base, adapted : callable
        Both models.
    elements : sequence of int
        Atomic numbers.
    cutoff : float
        Largest distance, Angstrom.
    """
    pairs = list(combinations_with_replacement(sorted(elements), 2))
    distances = [np.arange(_NEAREST * _bond(pair), cutoff, _STEP)[::-1] for pair in pairs]
    dimers = [
        Atoms(pair, positions=[(0, 0, 0), (0, 0, d)]) for pair, x in zip(pairs, distances, strict=True) for d in x
    ]
    scans = []
    for pair, x, (first, second) in zip(pairs, distances, _energies(base, adapted, dimers, distances), strict=True):
        ratio = x / _bond(pair)
        outer = (ratio >= _BOND[0]) & (ratio <= _BOND[1])
        name = "-".join(chemical_symbols[z] for z in pair)
        scans.append(Scan(name, x, first, second, outer, DIMER_HOLE))
    return scans


def compression_scans(base: Predict, adapted: Predict, structures: Sequence[Atoms]) -> list[Scan]:
    """Scans of structures from their volume to 60 % of it, all lengths scaled alike; molecules about their centre."""
    volumes = np.linspace(1.0, _SMALLEST, _N_VOLUMES)
    scaled = [_scaled(atoms, volume ** (1 / 3)) for atoms in structures for volume in volumes]
    curves = _energies(base, adapted, scaled, [volumes] * len(structures))
    return [
        Scan(
            f"{number} {atoms.symbols.get_chemical_formula()}",
            volumes,
            first / len(atoms),
            second / len(atoms),
            volumes >= _OUTER_VOLUME,
            COMPRESSION_HOLE,
        )
        for number, (atoms, (first, second)) in enumerate(zip(structures, curves, strict=True))
    ]


def judged(scan: Scan) -> ScanRow:
    """Falls and wells of a scan."""
    well_base, fall_base, _, _ = _wall(scan.base, scan.outer)
    well, fall, end, floor = _wall(scan.adapted, scan.outer)
    hole = not np.isfinite(scan.adapted).all() or bool(fall > fall_base + scan.hole)
    collapse = hole and not floor >= -well
    return ScanRow(scan.name, fall_base, fall, float(scan.x[end]), well_base, well, hole, collapse)


def _wall(curve: Floats, outer: NDArray[np.bool_]) -> tuple[float, float, int, float]:
    """Depth of the well, largest fall on the way in from it, where that ends, and the energy there."""
    places = np.flatnonzero(outer)
    start = int(places[np.argmin(curve[places])])
    wall = curve[start:]
    falls = np.maximum.accumulate(wall) - wall
    end = int(np.argmax(falls))
    return float(-curve[start]), float(falls[end]), start + end, float(wall[end])


def _energies(
    base: Predict, adapted: Predict, structures: Sequence[Atoms], axes: Sequence[Floats]
) -> Iterator[tuple[Floats, Floats]]:
    """Curves of both models, less their first points, for structures listed path by path."""
    ends = np.cumsum([len(axis) for axis in axes])[:-1]
    found = [np.split(predict(structures).energy, ends) for predict in (base, adapted)]
    for first, second in zip(*found, strict=True):
        yield first - first[0], second - second[0]


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
