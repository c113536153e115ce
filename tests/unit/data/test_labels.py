"""Names, units and conventions of labels."""

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given
from hypothesis import strategies as st

from equisparse.data.choice import FrameLabels, read_labels
from equisparse.data.frames import Floats
from equisparse.data.labels import LabelKeys, LabelUnits, require_keys
from equisparse.data.stored import StoredValue, stored_values
from equisparse.errors import DataError
from equisparse.quantities import ENERGY, FORCES, STRESS, Quantity
from equisparse.units import ENERGY_UNITS, LENGTH_UNITS, STRESS_UNITS

MATRIX = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])
VOLUME = 8.0


def read_all(
    values: dict[str, Any], units: LabelUnits | None = None, keys: LabelKeys | None = None, volume: float = VOLUME
) -> FrameLabels:
    """Read everything about a frame of two atoms."""
    stored = {name: [StoredValue(name, "info", value)] for name, value in values.items()}
    return read_labels(stored, keys or LabelKeys(), units or LabelUnits(), 2, volume)


def read(
    values: dict[str, Any], units: LabelUnits | None = None, keys: LabelKeys | None = None
) -> dict[Quantity, Floats]:
    """Read the labels of a frame of two atoms."""
    return read_all(values, units, keys).labels


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"REF_stress": [1, 2, 3, 4, 5, 6]}, MATRIX),
        ({"REF_stress": MATRIX}, MATRIX),
        ({"stress": MATRIX.ravel()}, MATRIX),
        ({"REF_virial": -VOLUME * MATRIX}, MATRIX),
        ({"virials": (-VOLUME * np.array([[1.0, 2, 3, 4, 5, 6]]))}, MATRIX),
        ({"y_stress": [-1, -2, -3, -6, -4, -5]}, MATRIX),
        ({"y_stress": -MATRIX}, MATRIX),
    ],
)
def test_every_way_to_write_a_stress(values: dict[str, Any], expected: np.ndarray) -> None:
    np.testing.assert_allclose(read(values)[STRESS], expected)


def test_vasp_order_and_sign() -> None:
    units = LabelUnits(stress="kbar", stress_sign="opposite", stress_order="vasp")
    stress = read({"dft_stress": [-1, -2, -3, -6, -4, -5]}, units)[STRESS]
    np.testing.assert_allclose(stress, MATRIX / 1602.1766208)


@given(
    st.sampled_from(sorted(ENERGY_UNITS)), st.sampled_from(sorted(LENGTH_UNITS)), st.sampled_from(sorted(STRESS_UNITS))
)
def test_units_multiply(energy: str, length: str, stress: str) -> None:
    values = {"energy": 2.0, "forces": np.ones((2, 3)), "stress": MATRIX, "virial": -VOLUME * MATRIX}
    plain = read(values, LabelUnits(energy, length, stress), LabelKeys(stress="stress"))
    virial = read(values, LabelUnits(energy, length, stress), LabelKeys(stress="virial"))
    assert plain[ENERGY] == pytest.approx(2.0 * ENERGY_UNITS[energy])
    np.testing.assert_allclose(plain[FORCES], ENERGY_UNITS[energy] / LENGTH_UNITS[length])
    np.testing.assert_allclose(plain[STRESS], MATRIX * STRESS_UNITS[stress])
    np.testing.assert_allclose(virial[STRESS], MATRIX * ENERGY_UNITS[energy])


def test_usual_names_in_order() -> None:
    values = {"dft_energy": 2.0, "energy": 2.0, "DFT_force": np.zeros((2, 3))}
    assert read_all(values).names == {"energy": "energy", "forces": "DFT_force"}
    assert read_all(values | {"REF_energy": 2.0}).names["energy"] == "REF_energy"
    assert read(values | {"dft_energy": 3.0}, keys=LabelKeys(energy="dft_energy"))[ENERGY] == 3.0


def test_named_key_that_no_frame_has() -> None:
    with pytest.raises(DataError, match=r"'REF_energi'(.|\n)*REF_energy, REF_forces(.|\n)*use 'REF_energy'"):
        require_keys(LabelKeys(energy="REF_energi"), {"REF_energy", "REF_forces"})
    with pytest.raises(DataError, match="there are none"):
        require_keys(LabelKeys(stress="sigma"), set())
    require_keys(LabelKeys(stress="sigma"), {"sigma"})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"energy": [1.0, 2.0]}, "not one number"),
        ({"energy": "low"}, "not numeric"),
        ({"forces": np.zeros((3, 3))}, "wrong shape"),
        ({"stress": np.zeros(5)}, "wrong shape"),
    ],
)
def test_unusable_values(values: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(values)


def test_virial_needs_a_cell() -> None:
    with pytest.raises(DataError, match="without a cell"):
        read_all({"virial": MATRIX}, volume=0.0)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"energy": "ev"}, "use 'eV'"),
        ({"length": "bohr"}, "use 'Bohr'"),
        ({"stress": "gpa"}, "use 'GPa'"),
        ({"stress_sign": "vasp"}, "stress sign"),
        ({"stress_order": "voigt"}, "stress order"),
    ],
)
def test_unknown_unit(options: dict[str, str], hint: str) -> None:
    with pytest.raises(DataError, match=hint):
        LabelUnits(**options)


def test_all_places_are_searched_and_the_structure_is_no_label() -> None:
    atoms = Atoms("H2", positions=[[0, 0, 0], [0, 0, 1]], info={"energy": 4.0, "key_value_pairs": {"energy": 5.0}})
    atoms.calc = SinglePointCalculator(atoms, energy=6.0)
    stored = stored_values(atoms)
    assert set(stored) == {"energy"}
    assert [value.value for value in stored["energy"]] == [4.0, 5.0, 6.0]
    assert [value.place for value in stored["energy"]] == ["info", "key-value pairs", "results of a calculator"]
