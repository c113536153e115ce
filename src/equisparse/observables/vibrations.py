"""Bond lengths and harmonic vibrations of a molecule."""

import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.neighborlist import natural_cutoffs, neighbor_list
from ase.vibrations import Vibrations

from equisparse.data.frames import Floats

DISPLACEMENT = 0.01
"""Length of the displacements, Angstrom."""
IMAGINARY = -20.0
"""Lower frequencies, 1/cm, are signs of instability."""

_BOND = 1.2
"""Longest bond as a multiple of the sum of the covalent radii."""
_LINEAR = 1e-3
"""Ratio of the smallest moment of inertia to the largest, below which a molecule is linear."""


def frequencies(atoms: Atoms) -> Floats:
    """Harmonic frequencies of a relaxed molecule with a calculator, lowest first, 1/cm; negative if imaginary.

    They come from central differences of the forces (`ase.vibrations.Vibrations`). The five or six modes closest to
    zero, which are translations and rotations, are left out.

    Returns
    -------
    array, shape (3 n_atoms - 6,), or (3 n_atoms - 5,) for linear molecules
    """
    with tempfile.TemporaryDirectory() as folder:
        vibrations = Vibrations(atoms, name=str(Path(folder) / "modes"), delta=DISPLACEMENT)
        vibrations.run()
        found = np.asarray(vibrations.get_frequencies())
    values = found.real - found.imag  # each is real or imaginary
    moments = atoms.get_moments_of_inertia()
    rigid = 5 if moments.min() < _LINEAR * moments.max() else 6
    return np.sort(values[np.argsort(np.abs(values))[rigid:]])


def zero_point_energy(values: Floats) -> float:
    """Zero-point energy of frequencies in 1/cm, meV; imaginary ones are left out."""
    return float(1e3 * units.invcm * values[values > 0].sum() / 2)


def bond_lengths(atoms: Atoms) -> dict[str, float]:
    """Mean length of the bonds between each pair of elements, Angstrom, by name such as ``bond_C_H_ang``."""
    lengths: dict[str, list[float]] = defaultdict(list)
    symbols = atoms.get_chemical_symbols()
    for i, j, distance in zip(*neighbor_list("ijd", atoms, natural_cutoffs(atoms, mult=_BOND)), strict=True):
        lengths["bond_{}_{}_ang".format(*sorted((symbols[i], symbols[j])))].append(float(distance))
    return {name: float(np.mean(values)) for name, values in sorted(lengths.items())}
