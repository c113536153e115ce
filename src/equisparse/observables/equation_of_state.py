"""Energy against volume, and the bulk modulus from it."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.eos import EquationOfState

from equisparse.data.frames import Floats
from equisparse.observables.relaxation import NotRelaxedError, RelaxOptions, relaxed

RANGE, N_VOLUMES = 0.06, 7
"""Largest change of the volume as a fraction; number of volumes."""


@dataclass(frozen=True)
class Volumes:
    """Equation of state of a crystal.

    Parameters
    ----------
    volumes : array, shape (n,)
        Angstrom^3/atom.
    energies : array, shape (n,)
        eV/atom.
    bulk_modulus : float
        At the minimum, GPa.
    """

    volumes: Floats
    energies: Floats
    bulk_modulus: float


def equation_of_state(atoms: Atoms, calculator: Calculator, options: RelaxOptions) -> Volumes:
    """Fit the equation of Birch and Murnaghan (Phys. Rev. 71, 809, 1947) to energies of a relaxed crystal.

    At each volume, the atoms and the shape of the cell are relaxed.

    Raises
    ------
    NotRelaxedError
        If the crystal does not relax at a volume, or the energies have no minimum.
    """
    volumes, energies = [], []
    for factor in np.linspace(1 - RANGE, 1 + RANGE, N_VOLUMES):
        scaled = atoms.copy()
        scaled.set_cell(factor ** (1 / 3) * atoms.cell.array, scale_atoms=True)
        at_volume = relaxed(scaled, calculator, "atoms and shape", options)
        volumes.append(at_volume.get_volume() / len(atoms))
        energies.append(at_volume.get_potential_energy() / len(atoms))
    try:
        _, _, modulus = EquationOfState(volumes, energies, eos="birchmurnaghan").fit(warn=False)
    except (ValueError, RuntimeError) as error:
        raise NotRelaxedError("the energies have no minimum near the relaxed volume") from error
    return Volumes(np.array(volumes), np.array(energies), float(modulus / units.GPa))
