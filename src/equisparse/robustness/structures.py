"""Structures all over the periodic table, from tables alone: to measure drift on, and to stay with the base on.

Elements in their own lattices come from ASE; lattice constants of compounds are rounded experimental values.
"""

from collections.abc import Collection, Iterator
from typing import Literal

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.data import chemical_symbols, reference_states

STRAIN, RATTLE = 0.03, 0.06
"""Standard deviations of the strain's components, and of displacements in Angstrom."""

Draw = Literal["measure", "learn"]
"""Two sets of structures that share no compound, molecule or displacement; elements are in both."""

_LATTICES = ("fcc", "bcc", "hcp", "diamond")
_COMPOUNDS = {  # lattice constants in Angstrom
    "rocksalt": "LiF 4.03 LiCl 5.13 NaF 4.62 NaCl 5.64 KF 5.34 KCl 6.29 MgO 4.21 CaO 4.81 SrO 5.16 BaO 5.52 TiC 4.33 "
    "TiN 4.24 VN 4.14 FeO 4.33 MnO 4.44 NiO 4.17 CoO 4.26 PbS 5.94 AgCl 5.55 ZrC 4.69 HfN 4.52 ScN 4.50 CdO 4.70 "
    "EuO 5.14 LaN 5.30 MgS 5.20 CaS 5.69 RbBr 6.85",
    "zincblende": "BN 3.62 BP 4.54 AlP 5.46 GaP 5.45 GaAs 5.65 InP 5.87 InSb 6.48 ZnS 5.41 ZnSe 5.67 CdTe 6.48 "
    "CuCl 5.42 SiC 4.36 HgTe 6.46 BeS 4.87 AlSb 6.14 GaSb 6.10",
    "cesiumchloride": "CsCl 4.12 CsBr 4.29 NiAl 2.89 FeAl 2.91 CuZn 2.95 AgMg 3.31 AuZn 3.19 CoAl 2.86 TlCl 3.83 "
    "RuAl 2.99 CaCd 3.70 YAg 3.62",
    "fluorite": "CaF2 5.46 BaF2 6.20 CeO2 5.41 UO2 5.47 ZrO2 5.09 HfO2 5.08 ThO2 5.60 SrF2 5.80",
    "perovskite": "SrTiO3 3.91 BaTiO3 4.00 KNbO3 4.02 CaTiO3 3.85 LaAlO3 3.79 KMgF3 3.99 CsPbBr3 5.87 NaTaO3 3.93",
}
_MOLECULES = "H2O NH3 CH4 CO CO2 N2 O2 C2H4 C2H6 HCN H2CO CH3OH SiH4 PH3 SH2 HCl F2 Cl2 NaCl LiF SO2 N2O NO2 C2H2 HF"


def probe_structures(elements: Collection[int], draw: Draw) -> list[Atoms]:
    """Strained and rattled structures of up to ten atoms, always the same.

    Parameters
    ----------
    elements : collection of int
        Atomic numbers that the base knows; structures with others are left out.
    draw : {"measure", "learn"}
        Which of the two sets.

    Returns
    -------
    list of Atoms
        Periodic crystals, and molecules without a cell.
    """
    start = ("measure", "learn").index(draw)
    generator = np.random.default_rng(start)
    chosen = [*_elements(), *[*_compounds(), *map(molecule, _MOLECULES.split())][start::2]]
    moved = [_disturbed(atoms, generator) for atoms in chosen]
    return [atoms for atoms in moved if set(atoms.numbers.tolist()) <= set(elements)]


def _elements() -> Iterator[Atoms]:
    """Elements that ASE has a lattice for, at least two atoms each."""
    for number, state in enumerate(reference_states[:93]):
        if state and state.get("symmetry") in _LATTICES and "basis" not in state:
            cell = bulk(chemical_symbols[number])
            yield cell if len(cell) > 1 else cell * (2, 1, 1)


def _compounds() -> Iterator[Atoms]:
    """One cell of every compound."""
    for lattice, text in _COMPOUNDS.items():
        words = text.split()
        for name, constant in zip(words[::2], map(float, words[1::2]), strict=True):
            yield _perovskite(name, constant) if lattice == "perovskite" else bulk(name, lattice, a=constant)


def _perovskite(formula: str, constant: float) -> Atoms:
    """Cubic ABX3."""
    places = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    return Atoms(formula, scaled_positions=places, cell=[constant] * 3, pbc=True)


def _disturbed(atoms: Atoms, generator: np.random.Generator) -> Atoms:
    """A strained and rattled copy."""
    copy: Atoms = atoms.copy()
    if copy.pbc.any():
        strain = np.eye(3) + generator.normal(0, STRAIN, (3, 3))
        copy.set_cell(copy.cell.array @ strain, scale_atoms=True)
    copy.positions += generator.normal(0, RATTLE, copy.positions.shape)
    return copy
