"""Stored numbers as labels: shapes, units, signs and component order."""

import numpy as np

from equisparse.data.frames import Floats
from equisparse.data.labels import LabelUnits
from equisparse.errors import DataError
from equisparse.quantities import ENERGY, FORCES, MAGNETIC_FORCES, STRESS, Quantity
from equisparse.units import ENERGY_UNITS, LENGTH_UNITS, STRESS_UNITS, voigt_to_matrix

_VASP_ORDER = [0, 1, 2, 4, 5, 3]
_SEVENNET_STRESS = "y_stress"
_ENERGY_AGREES = 1e-4  # eV/atom
_FLOAT32 = 2e-7
_AGREES = {FORCES: 2e-3, STRESS: 1e-4}  # in the unit of the quantity
_DIGITS = 1e-3


def converted(quantity: Quantity, value: Floats, name: str, units: LabelUnits, n_atoms: int, volume: float) -> Floats:
    """One label in the unit and shape of its quantity.

    Parameters
    ----------
    quantity : Quantity
    value : array
        As stored.
    name : str
        Name under which it is stored: a virial is recognised by it.
    units : LabelUnits
    n_atoms : int
    volume : float
        Of the cell, Angstrom^3; 0 if there is none.

    Raises
    ------
    DataError
        If the shape is wrong, or a virial has no cell.
    """
    if quantity == STRESS:
        return _stress(value, name, units, volume)
    return _shaped(quantity, value, name, n_atoms) * _unit(quantity, units)


def difference(quantity: Quantity, first: Floats, second: Floats, n_atoms: int) -> float | None:
    """Largest difference of two labels that should be equal; None if they agree to the digits that files keep.

    They agree within 0.1 meV/atom or the precision of float32 (energies), 2 meV/Angstrom (forces), 1e-4 eV/Angstrom^3
    (symmetric part of the stress), or else within 0.1 %.
    """
    if first.shape != second.shape:
        return float("nan")
    if quantity == STRESS:
        first, second = (first + first.T) / 2, (second + second.T) / 2
    absolute = _ENERGY_AGREES * n_atoms if quantity == ENERGY else _AGREES.get(quantity, 1e-6)
    relative = _FLOAT32 if quantity == ENERGY else _DIGITS
    if np.allclose(second, first, rtol=relative, atol=absolute, equal_nan=True):
        return None
    return float(np.abs(second - first).max())


def _unit(quantity: Quantity, units: LabelUnits) -> float:
    """Unit of stored values in the unit of the quantity; of quantities without a choice of units it is 1."""
    energy = ENERGY_UNITS[units.energy]
    return {ENERGY: energy, FORCES: energy / LENGTH_UNITS[units.length], MAGNETIC_FORCES: energy}.get(quantity, 1.0)


def _shaped(quantity: Quantity, value: Floats, name: str, n_atoms: int) -> Floats:
    """A value in the shape of its quantity; a single number may be stored in any shape of one element."""
    expected = quantity.shape if quantity.per == "frame" else (n_atoms, *quantity.shape)
    if expected == () and value.size == 1:
        return value.reshape(())
    if value.shape == expected:
        return value
    if expected == ():
        raise DataError(
            f"The {quantity.title} label {name!r} is not one number.",
            given=f"shape {value.shape}",
            expected=f"one {quantity.title} of the frame",
        )
    raise DataError(
        f"The {quantity.name} label {name!r} has the wrong shape.", given=f"{value.shape}", expected=f"{expected}"
    )


def _stress(value: Floats, name: str, units: LabelUnits, volume: float) -> Floats:
    """Stress matrix, eV/Angstrom^3, with the sign of ASE, of a stored stress or virial."""
    if "virial" in name.lower():
        return -_matrix(value, name, units.stress_order) * ENERGY_UNITS[units.energy] / _cell_volume(volume, name)
    if name == _SEVENNET_STRESS:
        return -_matrix(value, name, "vasp") * STRESS_UNITS[units.stress]
    sign = -1.0 if units.stress_sign == "opposite" else 1.0
    return sign * _matrix(value, name, units.stress_order) * STRESS_UNITS[units.stress]


def _cell_volume(volume: float, name: str) -> float:
    """Volume of a cell; DataError if there is no cell."""
    if volume <= 0:
        raise DataError(
            f"The virial label {name!r} belongs to a frame without a cell.",
            expected="a cell, because stress = -virial / volume",
            next_step="remove the virial of non-periodic frames",
        )
    return volume


def _matrix(value: Floats, name: str, order: str) -> Floats:
    """Matrix, shape (3, 3), of nine or six stored components."""
    flat = value.reshape(-1)
    if flat.size == 9:
        return flat.reshape(3, 3)
    if flat.size == 6:
        return voigt_to_matrix(flat[_VASP_ORDER] if order == "vasp" else flat)
    raise DataError(
        f"The stress label {name!r} has the wrong shape.", given=f"{value.shape}", expected="(6,) or (3, 3)"
    )
