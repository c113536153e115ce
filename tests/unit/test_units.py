"""Unit constants against ASE, and the Voigt order."""

import ase.units
import numpy as np
import pytest
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from equisparse import units


def test_gpa_is_that_of_ase():
    assert units.GPA_PER_EV_PER_ANG3 * ase.units.GPa == pytest.approx(1, rel=1e-8)
    assert units.STRESS_UNITS["GPa"] == pytest.approx(ase.units.GPa, rel=1e-8)
    assert units.STRESS_UNITS["kbar"] == pytest.approx(0.1 * ase.units.GPa, rel=1e-8)


@pytest.mark.parametrize(
    ("table", "name", "value"),
    [
        (units.ENERGY_UNITS, "Ry", ase.units.Ry),
        (units.ENERGY_UNITS, "Ha", ase.units.Ha),
        (units.ENERGY_UNITS, "kcal/mol", ase.units.kcal / ase.units.mol),
        (units.ENERGY_UNITS, "meV", 1e-3),
        (units.LENGTH_UNITS, "Bohr", ase.units.Bohr),
        (units.LENGTH_UNITS, "nm", ase.units.nm),
    ],
)
def test_units_are_those_of_ase(table, name, value):
    assert table[name] == pytest.approx(value, rel=1e-6)  # CODATA of other years


@pytest.mark.parametrize("table", [units.ENERGY_UNITS, units.LENGTH_UNITS, units.STRESS_UNITS])
def test_every_table_has_its_own_unit(table):
    assert 1.0 in table.values()


def test_voigt_order_is_that_of_ase():
    voigt = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    np.testing.assert_array_equal(units.voigt_to_matrix(voigt), voigt_6_to_full_3x3_stress(voigt))
    matrix = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(units.matrix_to_voigt(matrix), full_3x3_to_voigt_6_stress(matrix))


def test_voigt_round_trip():
    voigt = np.random.default_rng(0).normal(size=6)
    np.testing.assert_array_equal(units.matrix_to_voigt(units.voigt_to_matrix(voigt)), voigt)


def test_a_vector_of_another_length_is_refused():
    with pytest.raises(ValueError, match="zip"):
        units.voigt_to_matrix(np.zeros(5))
