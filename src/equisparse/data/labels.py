"""Which stored values are labels, and what they mean: names, units, signs, component order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import numpy as np
from ase import Atoms

from equisparse.data.frames import Floats
from equisparse.data.magnetic import INITIAL, read_spins
from equisparse.errors import DataError
from equisparse.quantities import (
    ENERGY,
    FORCES,
    MAGNETIC_FORCES,
    MOMENTS,
    STRESS,
    Quantity,
    all_quantities,
    find_quantity,
)
from equisparse.units import ENERGY_UNITS, LENGTH_UNITS, STRESS_UNITS, voigt_to_matrix

SPINS = "spins"
"""Name of the input spins among the names of labels: they are an input, not a quantity."""

SPIN_NAMES = (INITIAL, "REF_spin", "REF_spins", "spin", "spins", *MOMENTS.label_keys)
"""Names under which files usually store the input spins."""

_VASP_ORDER = [0, 1, 2, 4, 5, 3]
_SEVENNET_STRESS = "y_stress"


@dataclass(frozen=True)
class LabelKeys:
    """Names under which labels are stored in ``atoms.info``, ``atoms.arrays`` or the calculator's results.

    A name of None means: take the first of the usual names (`Quantity.label_keys`) that occurs in the file, for each
    quantity and each file separately. A name with ``virial`` in it is read as a virial: ``stress = -virial / volume``.
    ``y_stress`` is read as SevenNet writes it: order xx yy zz xy yz zx, sign opposite to ASE.
    ``energy`` of a VASP, or other, output file is ASE's ``energy`` result: extrapolated to zero smearing, not the
    free energy (name ``free_energy`` to get that one).

    Parameters
    ----------
    energy, forces, stress : str or None
        Name of the label.
    spins, moments, magnetic_forces : str or None
        Names of the input spins (muB), the resulting moments (muB), and minus the derivative of the energy by the
        spins (eV/muB).
    magnetic : bool
        Whether the usual names of these three are looked for; see `equisparse.data.magnetic` for what they mean.
    others : mapping of str to str, optional
        Name of a registered quantity -> name of its label.
    """

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None
    spins: str | None = None
    moments: str | None = None
    magnetic_forces: str | None = None
    magnetic: bool = False
    others: Mapping[str, str] | None = None

    def given(self) -> dict[str, str]:
        """Names that were given, by name of the quantity or `SPINS`.

        Raises
        ------
        InputError
            If there is no such quantity.
        """
        named = {name: getattr(self, name) for name in (SPINS, *_NAMED)}
        others = {find_quantity(name).name: key for name, key in (self.others or {}).items()}
        return {name: key for name, key in named.items() if key is not None} | others

    def usual(self) -> dict[str, tuple[str, ...]]:
        """Usual names to look for, by name of the quantity or `SPINS`."""
        wanted = [quantity for quantity in all_quantities() if self.magnetic or not quantity.needs_spins]
        spins = {SPINS: SPIN_NAMES} if self.magnetic else {}
        return {quantity.name: quantity.label_keys for quantity in wanted} | spins


_NAMED = ("energy", "forces", "stress", "moments", "magnetic_forces")
"""Quantities whose label key is a field of `LabelKeys`."""


@dataclass(frozen=True)
class LabelUnits:
    """Units and conventions of the stored values; the same for all files of one call.

    Formats with units of their own (VASP, Quantum ESPRESSO, ...) are converted by ASE: keep the defaults for them.
    Positions and cells are always taken as Angstrom.

    Parameters
    ----------
    energy : str
        Unit of energies and virials, and of the energy in forces.
    length : str
        Unit of the length in forces: ``energy="Ha", length="Bohr"`` for forces in Ha/Bohr.
    stress : str
        Unit of stress.
    stress_sign : {"ase", "opposite"}
        ``opposite`` if positive values mean compression, as VASP prints them.
    stress_order : {"ase", "vasp"}
        Order of six components: xx yy zz yz xz xy, or xx yy zz xy yz zx.

    Raises
    ------
    DataError
        If a name is unknown.
    """

    energy: str = "eV"
    length: str = "Angstrom"
    stress: str = "eV/Angstrom^3"
    stress_sign: Literal["ase", "opposite"] = "ase"
    stress_order: Literal["ase", "vasp"] = "ase"

    def __post_init__(self) -> None:
        _require("energy unit", self.energy, ENERGY_UNITS)
        _require("length unit", self.length, LENGTH_UNITS)
        _require("stress unit", self.stress, STRESS_UNITS)
        _require("stress sign", self.stress_sign, ("ase", "opposite"))
        _require("stress order", self.stress_order, ("ase", "vasp"))


def stored_values(atoms: Atoms) -> dict[str, object]:
    """Everything that could be a label, by name: calculator results, then arrays, info and key-value pairs."""
    results = atoms.calc.results if atoms.calc is not None else {}
    pairs = atoms.info.get("key_value_pairs", {})
    data = atoms.info.get("data", {})
    arrays = {name: value for name, value in atoms.arrays.items() if name not in ("numbers", "positions")}
    info = {name: value for name, value in atoms.info.items() if name not in ("key_value_pairs", "data")}
    return {
        name: value
        for source in (results, data if isinstance(data, dict) else {}, pairs, arrays, info)
        for name, value in source.items()
        if value is not None
    }


def choose_names(stored: Sequence[Mapping[str, object]], keys: LabelKeys) -> dict[str, str]:
    """Name under which the frames of one file store each quantity, and `SPINS`: the given one, or the first usual one.

    Quantities without a name in this file are absent.
    """
    present = {name for values in stored for name in values}
    found = {what: next((name for name in names if name in present), None) for what, names in keys.usual().items()}
    return {what: name for what, name in found.items() if name is not None} | keys.given()


def require_keys(keys: LabelKeys, present: set[str]) -> None:
    """Refuse a given key that occurs in no frame.

    Raises
    ------
    DataError
        With the names that do occur and the nearest of them.
    """
    for what, name in keys.given().items():
        if name in present:
            continue
        near = get_close_matches(name, sorted(present), n=1, cutoff=0.4)
        raise DataError(
            f"No frame has the {what} key {name!r}.",
            given=f"{what} key {name!r}",
            expected="one of the keys in the files: " + (", ".join(sorted(present)) or "(there are none)"),
            cause="a misspelt key, or a file that was written without labels",
            next_step=f"use {near[0]!r}" if near else "name one of these keys, or omit the key",
        )


def read_labels(
    values: Mapping[str, object], names: Mapping[str, str], units: LabelUnits, n_atoms: int, volume: float
) -> tuple[dict[Quantity, Floats], Floats | None]:
    """Labels of one frame in the units of their quantities, and its input spins.

    Parameters
    ----------
    values : mapping
        From `stored_values`.
    names : mapping
        From `choose_names`.
    units : LabelUnits
        What the values of energy, forces, stress and magnetic forces mean; other quantities are stored in their unit.
    n_atoms : int
        Number of atoms.
    volume : float
        Of the cell, Angstrom^3; 0 if there is none.

    Returns
    -------
    labels : dict of Quantity to array
        Of what the frame has.
    spins : array, shape (n_atoms,) or (n_atoms, 3), muB, or None
        As stored: scalars are along z.

    Raises
    ------
    DataError
        If a value is not numeric, has the wrong shape, or a virial has no cell.
    """
    stored = {what: _numbers(values[name], name) for what, name in names.items() if name in values}
    labels = {}
    for quantity in all_quantities():
        if quantity.name in stored and quantity != MOMENTS:
            value, name = stored[quantity.name], names[quantity.name]
            labels[quantity] = _read(quantity, value, name, units, n_atoms, volume)
    spins, moments = read_spins(names, stored.get(SPINS), stored.get(MOMENTS.name), n_atoms)
    return labels if moments is None else labels | {MOMENTS: moments}, spins


def _require(what: str, name: str, known: Sequence[str] | Mapping[str, float]) -> None:
    """Raise DataError if a name is unknown."""
    if name in known:
        return
    near = get_close_matches(name.lower(), [k.lower() for k in known], n=1, cutoff=0.4)
    match = next((k for k in known if near and k.lower() == near[0]), None)
    raise DataError(
        f"Unknown {what} {name!r}.",
        expected="one of " + ", ".join(known),
        next_step=f"use {match!r}" if match else "",
    )


def _numbers(value: object, name: str) -> Floats:
    """A stored value as float64."""
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The label {name!r} is not numeric.", given=repr(value)[:80], next_step="name another key"
        ) from error


def _read(quantity: Quantity, value: Floats, name: str, units: LabelUnits, n_atoms: int, volume: float) -> Floats:
    """One label in the unit of its quantity."""
    if quantity == STRESS:
        return _stress(value, name, units, volume)
    return _shaped(quantity, value, name, n_atoms) * _unit(quantity, units)


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
