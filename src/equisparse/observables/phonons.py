"""Phonons of a crystal by finite displacements, with phonopy."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.dft.kpoints import parse_path_string

from equisparse.data.frames import Floats
from equisparse.errors import MissingPackageError
from equisparse.observables.cells import StandardCell, multiples

if TYPE_CHECKING:
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

DISPLACEMENT = 0.01
"""Length of the displacements, Angstrom."""
MESH_LENGTH = 50.0
"""Density of the mesh of wave vectors, Angstrom: phonopy takes about this over a length of the cell."""
TEMPERATURE = 300.0
"""Temperature of the heat capacity, K."""
PER_SEGMENT = 20
"""Points of a band per segment of its path."""
IMAGINARY = -0.1
"""Lower frequencies, THz, are signs of instability; those closer to zero are noise of the acoustic bands."""


@dataclass(frozen=True)
class Bands:
    """Phonon bands along a path of special points.

    Parameters
    ----------
    x : array, shape (n,)
        Place on the path: the number of the segment, plus the fraction of it.
    labels : tuple of str
        Names of the special points; empty for other points.
    frequencies : array, shape (n, n_bands)
        THz; negative if imaginary.
    """

    x: Floats
    labels: tuple[str, ...]
    frequencies: Floats


@dataclass(frozen=True)
class Phonons:
    """Phonons of a crystal.

    Parameters
    ----------
    lowest, highest : float
        Frequencies on a mesh, THz; negative if imaginary.
    zero_point_energy : float
        meV/atom; imaginary frequencies are left out.
    heat_capacity : float
        At 300 K and constant volume, J/K per mole of atoms.
    bands : Bands
    """

    lowest: float
    highest: float
    zero_point_energy: float
    heat_capacity: float
    bands: Bands


def check_phonopy() -> None:
    """Raise MissingPackageError if phonopy is not installed."""
    try:
        import phonopy  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            "Phonons need the package phonopy.",
            cause=str(error),
            next_step="pip install 'equisparse[properties]', or choose other properties: --only eos elastic vibrations",
        ) from error


def phonons(cell: StandardCell, calculator: Calculator, length: float) -> Phonons:
    """Compute the phonons of a relaxed crystal (Togo, J. Phys. Soc. Jpn. 92, 012001, 2023).

    The long-range electric field of polar crystals (LO-TO splitting) is left out, as it is in the models.

    Parameters
    ----------
    cell : StandardCell
    calculator : Calculator
    length : float
        Smallest distance of opposite faces of the supercell, Angstrom; it is a multiple of the conventional cell.

    Raises
    ------
    MissingPackageError
        If phonopy is not installed.
    """
    solved = _solved(cell, calculator, length)
    solved.run_mesh(MESH_LENGTH)
    solved.run_thermal_properties(temperatures=[0.0, TEMPERATURE], exclude_gamma_acoustic=True)
    frequencies, n_atoms = np.asarray(solved.mesh.frequencies), len(solved.primitive)
    zero_point = float(solved.thermal_properties.free_energy[0]) * units.kJ / units.mol
    capacity = float(solved.thermal_properties.heat_capacity[1])
    return Phonons(
        float(frequencies.min()),
        float(frequencies.max()),
        1e3 * zero_point / n_atoms,
        capacity / n_atoms,
        _bands(solved, cell.primitive),
    )


def _solved(cell: StandardCell, calculator: Calculator, length: float) -> "Phonopy":
    """Force constants of a supercell, symmetrised."""
    check_phonopy()
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    own = cell.primitive
    unit = PhonopyAtoms(numbers=own.numbers, scaled_positions=own.get_scaled_positions(), cell=own.cell.array)
    conventional = np.linalg.solve(own.cell.array.T, cell.conventional.cell.array.T).round().astype(int)
    supercell = conventional @ np.diag(multiples(cell.conventional, length))
    solved = Phonopy(unit, supercell_matrix=supercell, primitive_matrix="P")
    solved.generate_displacements(distance=DISPLACEMENT)
    displaced = solved.supercells_with_displacements or []
    forces = [_forces(supercell, calculator) for supercell in [solved.supercell, *displaced]]
    solved.forces = [force - forces[0] for force in forces[1:]]
    solved.produce_force_constants(show_drift=False)
    solved.symmetrize_force_constants(show_drift=False)
    return solved


def _forces(supercell: "PhonopyAtoms", calculator: Calculator) -> Floats:
    """Forces on a supercell of phonopy, shape (n_atoms, 3), eV/Angstrom."""
    places, cell = supercell.scaled_positions, supercell.cell
    atoms = Atoms(supercell.numbers, scaled_positions=places, cell=cell, pbc=True, calculator=calculator)
    return np.asarray(atoms.get_forces())


def _bands(solved: "Phonopy", primitive: Atoms) -> Bands:
    """Frequencies along the path of special points that ASE suggests for the lattice."""
    path = primitive.cell.bandpath(npoints=0)
    fractions = np.linspace(0, 1, PER_SEGMENT + 1)
    x, labels, points = [], [], []
    for index, (start, end) in enumerate(_segments(path.path)):
        first, last = path.special_points[start], path.special_points[end]
        points += [(1 - fraction) * first + fraction * last for fraction in fractions]
        x += [index + fraction for fraction in fractions]
        labels += [start, *[""] * (PER_SEGMENT - 1), end]
    solved.run_band_structure([np.array(points)])
    (frequencies,) = solved.band_structure.frequencies
    return Bands(np.array(x), tuple(labels), np.asarray(frequencies))


def _segments(path: str) -> list[tuple[str, str]]:
    """Names of the special points at both ends of each segment of a path such as ``GX1M,RX``."""
    return [pair for part in parse_path_string(path) for pair in pairwise(part)]
