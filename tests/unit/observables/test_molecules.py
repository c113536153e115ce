"""Kinds of structures, and molecules of Morse pairs, whose frequency is known."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential

from equisparse.observables.kind import kind_of
from equisparse.observables.measure import MeasureOptions, measured
from equisparse.observables.relaxation import RelaxOptions
from equisparse.observables.rows import PropertyRow

DEPTH, BOND, STIFFNESS = 2.0, 0.74, 4.0
"""Depth of the well, eV, bond length, Angstrom, and stiffness times bond length."""


def test_frequency_of_two_atoms() -> None:
    atoms = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]])
    found = measured(atoms, MorsePotential(epsilon=DEPTH, r0=BOND, rho0=STIFFNESS), MeasureOptions())
    curvature = 2 * DEPTH * (STIFFNESS / BOND) ** 2
    omega = np.sqrt(curvature / (atoms.get_masses()[0] / 2)) * units._hbar * 1e10 * np.sqrt(units._e / units._amu)
    energy = omega / units._e
    assert found.kind == "molecule"
    assert found.values["frequency_1_per_cm"] == pytest.approx(energy / units.invcm, rel=3e-3), (
        "displacements are finite"
    )
    assert found.values["zero_point_energy_mev"] == pytest.approx(500 * energy, rel=3e-3)
    assert found.values["bond_H_H_ang"] == pytest.approx(BOND, abs=1e-3)
    assert "frequency_2_per_cm" not in found.values, "five modes of a linear molecule are rigid"


def test_molecules_have_three_modes_per_atom_less_six() -> None:
    found = measured(molecule("H2O"), EMT(), MeasureOptions())
    assert sum(name.startswith("frequency") for name in found.values) == 3
    without = measured(molecule("H2O"), EMT(), MeasureOptions(parts=("eos",)))
    assert not [name for name in without.values if name.startswith("frequency")]


def test_a_molecule_that_falls_apart_is_not_measured() -> None:
    atoms = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.6]])
    model = MorsePotential(epsilon=1.0, r0=2.0, rho0=6.0)
    found = measured(atoms, model, MeasureOptions(relax=RelaxOptions(0.01, 200)))
    assert found.notes == ["not relaxed: the molecule falls apart"]


def in_a_box(atoms: Atoms) -> Atoms:
    atoms.set_cell(12 * np.eye(3))
    atoms.pbc = True
    return atoms


@pytest.mark.parametrize(
    ("atoms", "kind"),
    [
        (bulk("NaCl", "rocksalt", a=5.6), "crystal"),
        (molecule("CH4"), "molecule"),
        (in_a_box(molecule("CH4")), "molecule"),
        (fcc111("Cu", (1, 1, 3), vacuum=6.0, periodic=True), "surface"),
        (fcc111("Cu", (1, 1, 3), vacuum=6.0), "surface"),
        (fcc111("Cu", (1, 1, 3)), "surface"),
        (in_a_box(Atoms("O")), "atom"),
        (Atoms("O"), "atom"),
    ],
)
def test_kinds(atoms: Atoms, kind: str) -> None:
    assert kind_of(atoms) == kind


def test_a_single_atom_has_no_properties() -> None:
    assert measured(Atoms("O"), EMT(), MeasureOptions()).values == {}


@pytest.mark.parametrize(
    ("name", "title", "unit"),
    [
        ("volume_ang3_per_atom", "volume", "Angstrom^3/atom"),
        ("c11_gpa", "C11", "GPa"),
        ("c_ang", "c", "Angstrom"),
        ("frequency_3_per_cm", "frequency 3", "1/cm"),
        ("zero_point_energy_mev_per_atom", "zero point energy", "meV/atom"),
        ("heat_capacity_at_300_K_j_per_k_per_mol", "heat capacity at 300 K", "J/K/mol atoms"),
    ],
)
def test_names_contain_the_unit(name: str, title: str, unit: str) -> None:
    row = PropertyRow("X", name, None, None)
    assert (row.title, row.unit) == (title, unit)
