"""Structures for `benchmarks/retention.py`, to learn from and to measure on, from ASE's tables alone.

    python benchmarks/structures.py --out FOLDER

Writes ``replay.extxyz`` and ``measure.extxyz``, without labels: elements in their own lattice (in both files,
differently strained and rattled), and compounds and molecules, each in one file only.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.data import chemical_symbols, reference_states

STRAIN, RATTLE = 0.03, 0.06
"""Standard deviations of the strain's components, and of displacements in Angstrom."""
LATTICES = ("fcc", "bcc", "hcp", "diamond")
COMPOUNDS = {  # lattice constants in Angstrom
    "rocksalt": "LiF 4.03 LiCl 5.13 NaF 4.62 NaCl 5.64 KF 5.34 KCl 6.29 MgO 4.21 CaO 4.81 SrO 5.16 BaO 5.52 TiC 4.33 "
    "TiN 4.24 VN 4.14 FeO 4.33 MnO 4.44 NiO 4.17 CoO 4.26 PbS 5.94 AgCl 5.55 ZrC 4.69 HfN 4.52 ScN 4.50 CdO 4.70 "
    "EuO 5.14 LaN 5.30 MgS 5.20 CaS 5.69 RbBr 6.85",
    "zincblende": "BN 3.62 BP 4.54 AlP 5.46 GaP 5.45 GaAs 5.65 InP 5.87 InSb 6.48 ZnS 5.41 ZnSe 5.67 CdTe 6.48 "
    "CuCl 5.42 SiC 4.36 HgTe 6.46 BeS 4.87 AlSb 6.14 GaSb 6.10",
    "cesiumchloride": "CsCl 4.12 CsBr 4.29 NiAl 2.89 FeAl 2.91 CuZn 2.95 AgMg 3.31 AuZn 3.19 CoAl 2.86 TlCl 3.83 "
    "RuAl 2.99 CaCd 3.70 YAg 3.62",
}
MOLECULES = "H2O NH3 CH4 CO CO2 N2 O2 C2H4 C2H6 HCN H2CO CH3OH SiH4 PH3 SH2 HCl F2 Cl2 NaCl LiF SO2 N2O NO2 C2H2 HF"


def elements() -> Iterator[Atoms]:
    """Elements that ASE has a lattice for, at least two atoms each."""
    for number, state in enumerate(reference_states[:93]):
        if state and state.get("symmetry") in LATTICES and "basis" not in state:
            cell = bulk(chemical_symbols[number])
            yield cell if len(cell) > 1 else cell * (2, 1, 1)


def others() -> Iterator[Atoms]:
    """Compounds, then molecules."""
    for lattice, text in COMPOUNDS.items():
        words = text.split()
        for name, length in zip(words[::2], words[1::2], strict=True):
            yield bulk(name, lattice, a=float(length))
    yield from map(molecule, MOLECULES.split())


def disturbed(atoms: Atoms, generator: np.random.Generator) -> Atoms:
    """A strained and rattled copy."""
    copy: Atoms = atoms.copy()
    if copy.pbc.any():
        strain = np.eye(3) + generator.normal(0, STRAIN, (3, 3))
        copy.set_cell(copy.cell.array @ strain, scale_atoms=True)
    copy.positions += generator.normal(0, RATTLE, copy.positions.shape)
    return copy


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    folder = parser.parse_args().out
    generator = np.random.default_rng(0)
    for name, start in (("measure", 0), ("replay", 1)):
        chosen = [*elements(), *list(others())[start::2]]
        ase.io.write(folder / f"{name}.extxyz", [disturbed(atoms, generator) for atoms in chosen])


if __name__ == "__main__":
    main()
