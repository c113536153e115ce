"""Elastic constants of a crystal from stresses of strained cells."""

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from equisparse.data.frames import Floats
from equisparse.observables.cells import System
from equisparse.observables.relaxation import RelaxOptions, relaxed
from equisparse.units import GPA_PER_EV_PER_ANG3, voigt_to_matrix

STRAIN = 0.005
"""Strain of the cells, in both directions."""

_INDEPENDENT: dict[System, str] = {
    "cubic": "11 12 44",
    "hexagonal": "11 12 13 33 44",
    "trigonal": "11 12 13 14 33 44",
    "tetragonal": "11 12 13 33 44 66",
    "orthorhombic": "11 22 33 12 13 23 44 55 66",
    "monoclinic": "11 22 33 12 13 23 44 55 66 15 25 35 46",
    "triclinic": "11 22 33 12 13 23 44 55 66 14 15 16 24 25 26 34 35 36 45 46 56",
}
"""Elastic constants that symmetry leaves independent, in most classes of a crystal system (Nye, 1957)."""


def elastic_constants(atoms: Atoms, calculator: Calculator, options: RelaxOptions) -> Floats:
    """Elastic constants of a relaxed crystal, shape (6, 6), GPa, in the frame of its cell.

    They are central differences of the stress by the strains xx, yy, zz, yz, xz, xy of 0.5 %, with relaxed atoms. Shear
    strains are engineering strains.

    Raises
    ------
    NotRelaxedError
        If the atoms do not relax in a strained cell.
    """
    rows = []
    for place in range(6):
        strain = np.zeros(6)
        strain[place] = STRAIN
        plus, minus = (_stress(atoms, sign * strain, calculator, options) for sign in (1, -1))
        rows.append((plus - minus) / (2 * STRAIN))
    constants = GPA_PER_EV_PER_ANG3 * np.array(rows)
    return np.asarray((constants + constants.T) / 2)


def elastic_values(constants: Floats, system: System) -> dict[str, float]:
    """Independent elastic constants of a crystal system, and the shear modulus of a polycrystal, GPa, by name."""
    values = {f"c{pair}_gpa": float(constants[int(pair[0]) - 1, int(pair[1]) - 1]) for pair in _pairs(system)}
    if is_stable(constants):
        values["shear_modulus_gpa"] = shear_modulus(constants)
    return values


def is_stable(constants: Floats) -> bool:
    """Tell whether every strain costs energy: all eigenvalues are positive (Born)."""
    return bool(np.linalg.eigvalsh(constants).min() > 0)


def shear_modulus(constants: Floats) -> float:
    """Shear modulus of a polycrystal: mean of the bounds of Voigt and Reuss (Hill, Proc. Phys. Soc. 65, 349, 1952)."""
    c, s = constants, np.asarray(np.linalg.inv(constants), dtype=np.float64)
    normal, mixed, shear = _sums(c)
    voigt = (normal - mixed + 3 * shear) / 15
    normal, mixed, shear = _sums(s)
    reuss = 15 / (4 * (normal - mixed) + 3 * shear)
    return (voigt + reuss) / 2


def _sums(tensor: Floats) -> tuple[float, float, float]:
    """Sums of the elements 11, 22, 33, of 12, 13, 23, and of 44, 55, 66."""
    mixed = tensor[0, 1] + tensor[0, 2] + tensor[1, 2]
    return float(np.trace(tensor[:3, :3])), float(mixed), float(np.trace(tensor[3:, 3:]))


def _pairs(system: System) -> list[str]:
    """Pairs of indices of the independent constants."""
    return _INDEPENDENT[system].split()


def _stress(atoms: Atoms, strain: Floats, calculator: Calculator, options: RelaxOptions) -> Floats:
    """Stress of a strained cell with relaxed atoms, shape (6,), eV/Angstrom^3."""
    engineering = strain * np.array([1, 1, 1, 0.5, 0.5, 0.5])
    strained = atoms.copy()
    strained.set_cell(atoms.cell.array @ (np.eye(3) + voigt_to_matrix(engineering)), scale_atoms=True)
    return np.asarray(relaxed(strained, calculator, "atoms", options).get_stress())
