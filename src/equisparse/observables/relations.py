"""Energies that relate several structures: polymorphs, the surface of a crystal, and vacancies."""

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms, units

from equisparse.observables.kind import VACUUM, vacuum
from equisparse.observables.measure import Measured


def add_relations(results: Mapping[str, Measured]) -> None:
    """Add energy differences to the values of structures of one model; `results` maps names to structures.

    Two or more crystals of one composition get their energy above the lowest of them. A slab gets its surface energy if
    there is a crystal of its composition: ``(E_slab - N E_crystal) / 2A`` with N atoms and the area A, the mean of its
    two sides. A vacancy gets its energy of formation, ``E_vacancy - E_crystal + mu``, if there is a structure of the
    element that was removed, or the crystal consists of it; mu is the lowest energy per atom of these structures.
    """
    known = [result for result in results.values() if "energy_ev_per_atom" in result.values]
    crystals: dict[str, list[Measured]] = {}
    for result in known:
        if result.kind == "crystal":
            crystals.setdefault(_composition(result), []).append(result)
    for result in known:
        if same := crystals.get(_composition(result)):
            lowest = min(crystal.values["energy_ev_per_atom"] for crystal in same)
            above = result.values["energy_ev_per_atom"] - lowest
            _add(result, above, several=len(same) > 1)
        _add_vacancies(result, known)


def _add(result: Measured, above: float, *, several: bool) -> None:
    """Add the energy above the lowest crystal, eV/atom, as a relative energy or as a surface energy."""
    if result.kind == "crystal" and several:
        result.values["relative_energy_mev_per_atom"] = 1e3 * above
    if result.kind == "surface" and result.relaxed is not None and (area := _slab_area(result.relaxed)):
        per_area = above * len(result.relaxed) / (2 * area)
        result.values["surface_energy_j_per_m2"] = per_area * units.m**2 / units.J


def _add_vacancies(result: Measured, known: Sequence[Measured]) -> None:
    """Add the energies of vacancies, or note which structures they need."""
    for symbol, removed in result.removed.items():
        pure = [other for other in known if other.relaxed is not None and set(other.relaxed.symbols) == {symbol}]
        if pure:
            potential = min(other.values["energy_ev_per_atom"] for other in pure)
            result.values[f"vacancy_{symbol}_ev"] = removed + potential
        else:
            result.notes.append(f"no energy of a vacancy of {symbol}: it needs a structure of pure {symbol}")


def _composition(result: Measured) -> str:
    """Composition without common factors; empty for a structure that was not relaxed."""
    return "" if result.relaxed is None else str(result.relaxed.symbols.get_chemical_formula(empirical=True))


def _slab_area(atoms: Atoms) -> float:
    """Area of one side of a slab, Angstrom^2; 0 if the structure is not empty in exactly one direction."""
    empty = np.flatnonzero(vacuum(atoms) >= VACUUM)
    if len(empty) != 1:
        return 0.0
    first, second = np.delete(atoms.cell.array, empty[0], axis=0)
    return float(np.linalg.norm(np.cross(first, second)))
