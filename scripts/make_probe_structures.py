"""Make the packaged probe structures: elements, compounds and small molecules, strained and rattled.

Run `python scripts/make_probe_structures.py`: it writes src/equisparse/robustness/probe_structures.xyz.gz, with
positions rounded to 1e-8 Angstrom.

There are two draws. The lattice of each element is in both, disturbed differently; a compound or a molecule is in one
of them only. Lattices come from ASE and from the tables below. They are close to the measured ones, which is enough:
every structure is strained, and the predictions of the base model are the reference.
"""

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.data import chemical_symbols, reference_states
from ase.spacegroup import crystal

from equisparse.robustness.structures import PROBE_FILE, Draw

STRAIN, RATTLE = 0.03, 0.06
"""Standard deviations of the strain's components, and of displacements in Angstrom."""

_SEEDS: dict[Draw, int] = {"measure": 0, "learn": 1}
_PLAIN = ("fcc", "bcc", "hcp", "diamond", "sc", "bct", "rhombohedral")
"""Lattices of `ase.build.bulk` that need no positions within the cell."""
_NO_LATTICE = ("B", "S")
"""Elements whose cells are too large for a probe; they are in compounds and molecules."""
_OTHER_LATTICES = {  # lattice constants a, c in Angstrom
    "He": ("hcp", 3.57, 5.83),
    "Mn": ("fcc", 3.86, None),
    "Pm": ("hcp", 3.65, 5.83),
    "Pa": ("bct", 3.93, 3.24),
    "Pu": ("fcc", 4.64, None),
}
_WITH_BASIS: dict[
    str, tuple[int, tuple[float, ...], float, list[tuple[float, float, float]]]
] = {  # space group, a, b, c in Angstrom, gamma in degrees, sites
    "P": (64, (3.31, 10.48, 4.37), 90, [(0, 0.1017, 0.0806)]),
    "Cl": (64, (6.24, 4.48, 8.26), 90, [(0, 0.130, 0.100)]),
    "Ga": (64, (4.52, 7.66, 4.53), 90, [(0, 0.1549, 0.081)]),
    "Br": (64, (6.67, 4.48, 8.72), 90, [(0, 0.135, 0.110)]),
    "I": (64, (7.27, 4.79, 9.79), 90, [(0, 0.149, 0.1156)]),
    "Se": (152, (4.37, 4.37, 4.95), 120, [(0.225, 0, 1 / 3)]),
    "Te": (152, (4.46, 4.46, 5.93), 120, [(0.263, 0, 1 / 3)]),
    "U": (63, (2.85, 5.87, 4.96), 90, [(0, 0.1025, 0.25)]),
    "Np": (62, (6.66, 4.72, 4.89), 90, [(0.036, 0.25, 0.208), (0.319, 0.25, 0.842)]),
}
_PAIRS = {  # formula and cubic lattice constant in Angstrom
    "rocksalt": "LiF 4.03 LiCl 5.13 NaF 4.62 NaCl 5.64 KF 5.34 KCl 6.29 MgO 4.21 CaO 4.81 SrO 5.16 BaO 5.52 TiC 4.33 "
    "TiN 4.24 VN 4.14 FeO 4.33 MnO 4.44 NiO 4.17 CoO 4.26 PbS 5.94 AgCl 5.55 ZrC 4.69 HfN 4.52 ScN 4.50 CdO 4.70 "
    "EuO 5.14 LaN 5.30 MgS 5.20 CaS 5.69 RbBr 6.85 LiH 4.08 NaI 6.47 PbTe 6.46 SnTe 6.33 NbC 4.47 TaC 4.46 CrN 4.15 "
    "YN 4.88 GdN 5.00 UC 4.96 UN 4.89 ThC 5.34 CeN 5.02 BiSe 5.99 CsF 6.01 AgBr 5.77",
    "zincblende": "BN 3.62 BP 4.54 AlP 5.46 GaP 5.45 GaAs 5.65 InP 5.87 InSb 6.48 ZnS 5.41 ZnSe 5.67 CdTe 6.48 "
    "CuCl 5.42 SiC 4.36 HgTe 6.46 BeS 4.87 AlSb 6.14 GaSb 6.10 BAs 4.78 CuI 6.05 ZnTe 6.10 InAs 6.06",
    "cesiumchloride": "CsCl 4.12 CsBr 4.29 NiAl 2.89 FeAl 2.91 CuZn 2.95 AgMg 3.31 AuZn 3.19 CoAl 2.86 TlCl 3.83 "
    "RuAl 2.99 CaCd 3.70 YAg 3.62 CsI 4.57 NiTi 3.01 FeTi 2.98 AuCd 3.32 HfRu 3.23 ScRh 3.20 DyCu 3.46 TaRu 3.17",
    "fluorite": "CaF2 5.46 SrF2 5.80 BaF2 6.20 CdF2 5.39 PbF2 5.94 CeO2 5.41 ZrO2 5.09 HfO2 5.12 UO2 5.47 ThO2 5.60 "
    "PrO2 5.39 Li2O 4.62 Na2O 5.55 K2O 6.44 Mg2Si 6.35 Mg2Sn 6.76 Be2C 4.34 CoSi2 5.37 NiSi2 5.41 AuAl2 6.00 "
    "PtAl2 5.91 Li2S 5.71 Rb2O 6.74 ScH2 4.78 TiH2 4.45",
}
_ANTIFLUORITE_TURNED = ("Li2O", "Na2O", "K2O", "Mg2Si", "Mg2Sn", "Be2C", "Li2S", "Rb2O")
"""Formulas whose doubled element comes first; ASE's fluorite wants it last."""
_WURTZITE = (
    "ZnO 3.25 5.21 AlN 3.11 4.98 GaN 3.19 5.19 InN 3.54 5.71 BeO 2.70 4.38 CdS 4.14 6.72 CdSe 4.30 7.01 AgI 4.59 7.51"
)
_RUTILE = (
    "TiO2 4.59 2.96 SnO2 4.74 3.19 VO2 4.55 2.85 RuO2 4.49 3.11 IrO2 4.50 3.15 PbO2 4.95 3.38 GeO2 4.40 2.86 "
    "MnO2 4.40 2.87 MgF2 4.62 3.05 ZnF2 4.70 3.13 FeF2 4.70 3.31 NbO2 4.85 3.03 CrO2 4.42 2.92 SiO2 4.18 2.67"
)
_PEROVSKITE = (
    "Sr Ti O 3.91 Ba Ti O 4.01 Ca Ti O 3.84 K Ta O 3.99 K Nb O 4.01 Ba Zr O 4.19 La Al O 3.79 La Mn O 3.88 Sr Fe O "
    "3.85 Pb Ti O 3.97 Bi Fe O 3.96 K Mg F 3.99 K Mn F 4.19 Cs Pb I 6.29 Cs Sn Br 5.80 Cs Ca Cl 5.40 Y Al O 3.68 "
    "Ba Sn O 4.12 Sr Ru O 3.95 Na W O 3.86 Gd Fe O 3.87 La Cr O 3.87"
)
_MOLECULES = (
    "H2 N2 O2 F2 Cl2 P2 S2 H2O NH3 CH4 CO CO2 C2H4 C2H6 HCN H2CO CH3OH SiH4 PH3 SH2 HCl NaCl LiF SO2 N2O NO2 C2H2 HF "
    "O3 H2O2 N2H4 CH3Cl CF4 CCl4 SiF4 SiO BF3 BCl3 AlF3 AlCl3 PF3 ClF3 CS2 OCS LiH CH3SH H3CNH2 HOCl CH3CN NF3 NO C6H6 "
    "C3H8 CH3CH2OH CH3COOH HCOOH SiH3 Si2H6 CH3SiH3 C4H4O C4H4S C5H5N"
)


def draw_structures(draw: Draw) -> Iterator[Atoms]:
    """Structures of one draw, always the same, with ``name``, ``kind`` and ``draw`` in `info`."""
    start = 0 if draw == "measure" else 1
    chosen = [*element_lattices(), *list(compounds())[start::2], *list(molecules())[start::2]]
    for index, atoms in enumerate(chosen):
        structure = disturbed(atoms, np.random.default_rng((_SEEDS[draw], index)))
        structure.info["draw"] = draw
        yield structure


def element_lattices() -> Iterator[Atoms]:
    """Elements in their own lattice or, where that is a large cell, a simple one; at least two atoms each."""
    for number, symbol in enumerate(chemical_symbols[:95]):
        if (cell := _element(number, symbol)) is not None:
            yield _named(cell if len(cell) > 1 else cell * (2, 1, 1), symbol, "element")


def compounds() -> Iterator[Atoms]:
    """Compounds of two and three elements in the prototypes of the tables."""
    for lattice, text in _PAIRS.items():
        for formula, length in _grouped(text, 2):
            yield _named(bulk(_anion_last(formula), lattice, a=float(length)), f"{formula} {lattice}", "compound")
    for formula, a, c in _grouped(_WURTZITE, 3):
        yield _named(bulk(formula, "wurtzite", a=float(a), c=float(c)), f"{formula} wurtzite", "compound")
    for formula, a, c in _grouped(_RUTILE, 3):
        yield _named(_rutile(formula, float(a), float(c)), f"{formula} rutile", "compound")
    for *symbols, a in _grouped(_PEROVSKITE, 4):
        yield _named(_perovskite(symbols, float(a)), f"{symbols[0]}{symbols[1]}{symbols[2]}3 perovskite", "compound")


def molecules() -> Iterator[Atoms]:
    """Molecules of ASE's table (G2), without a cell."""
    for name in dict.fromkeys(_MOLECULES.split()):
        yield _named(molecule(name), name, "molecule")


def disturbed(atoms: Atoms, generator: np.random.Generator) -> Atoms:
    """A copy that is rattled and, if periodic, strained."""
    copy: Atoms = atoms.copy()
    if copy.pbc.any():
        strain = np.eye(3) + generator.normal(0, STRAIN, (3, 3))
        copy.set_cell(copy.cell.array @ strain, scale_atoms=True)
    copy.positions += generator.normal(0, RATTLE, copy.positions.shape)
    return copy


def _element(number: int, symbol: str) -> Atoms | None:
    """Cell of an element, None if there is no lattice for it here: gases are among the molecules."""
    if symbol in _WITH_BASIS:
        group, lengths, gamma, sites = _WITH_BASIS[symbol]
        cell = [*lengths, 90, 90, gamma]
        return crystal([symbol] * len(sites), sites, spacegroup=group, cellpar=cell, primitive_cell=True)
    if symbol in _OTHER_LATTICES:
        lattice, a, c = _OTHER_LATTICES[symbol]
        return bulk(symbol, lattice, a=a, c=c)
    state: Any = reference_states[number] or {}
    plain = state.get("symmetry") in _PLAIN and symbol not in _NO_LATTICE
    return bulk(symbol) if plain else None


def _anion_last(formula: str) -> str:
    """The formula as ASE's fluorite wants it: the element with two atoms in a cell last."""
    if formula not in _ANTIFLUORITE_TURNED:
        return formula
    first, last = formula.split("2")
    return f"{last}{first}2"


def _rutile(formula: str, a: float, c: float) -> Atoms:
    """Space group 136 with the anion at u = 0.305."""
    cation, anion = formula.removesuffix("2")[:-1], formula.removesuffix("2")[-1]
    return crystal([cation, anion], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[a, a, c, 90, 90, 90])


def _perovskite(symbols: list[str], a: float) -> Atoms:
    """Cubic ABX3 with the small cation in the middle."""
    sites = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    first, second, anion = symbols
    return Atoms([first, second, anion, anion, anion], scaled_positions=sites, cell=[a, a, a], pbc=True)


def _grouped(text: str, size: int) -> Iterator[tuple[str, ...]]:
    """Words of a table, `size` at a time."""
    words = text.split()
    for start in range(0, len(words), size):
        yield tuple(words[start : start + size])


def _named(atoms: Atoms, name: str, kind: str) -> Atoms:
    """A plain copy with its name and kind."""
    plain = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    plain.info.update(name=name, kind=kind)
    return plain


def write(path: Path) -> None:
    """Write all structures; the same bytes every time."""
    text = io.StringIO()
    ase.io.write(text, [*draw_structures("measure"), *draw_structures("learn")], format="extxyz")
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


if __name__ == "__main__":
    write(PROBE_FILE)
