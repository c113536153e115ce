"""Energies of vacancies in a relaxed crystal."""

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from equisparse.observables.cells import inequivalent_sites, multiples
from equisparse.observables.relaxation import RelaxOptions, relaxed


def removal_energies(
    primitive: Atoms, calculator: Calculator, length: float, options: RelaxOptions
) -> dict[str, float]:
    """Energies to remove one atom of each element from a supercell, eV: the lowest over its inequivalent sites.

    The atoms around the vacancy are relaxed at the cell of the crystal. The energy of the atom that left, its chemical
    potential, is not included.

    Parameters
    ----------
    primitive : Atoms
        Relaxed primitive cell.
    calculator : Calculator
    length : float
        Smallest distance of opposite faces of the supercell, Angstrom.
    options : RelaxOptions

    Raises
    ------
    NotRelaxedError
        If a supercell with a vacancy does not relax.
    """
    supercell = primitive.repeat(multiples(primitive, length))
    supercell.calc = calculator
    whole = float(supercell.get_potential_energy())
    energies: dict[str, float] = {}
    for site in inequivalent_sites(primitive):
        defective = supercell.copy()
        del defective[site]  # the first copy of the primitive cell comes first
        energy = float(relaxed(defective, calculator, "atoms", options).get_potential_energy()) - whole
        symbol = primitive.symbols[site]
        energies[symbol] = min(energy, energies.get(symbol, np.inf))
    return energies
