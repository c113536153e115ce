"""Which stored values are labels, and what they mean: names, units, signs, component order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
from ase import Atoms

from equisparse.data.frames import Floats
from equisparse.data.magnetic import INITIAL, read_magnetic
from equisparse.errors import DataError
from equisparse.units import ENERGY_UNITS, LENGTH_UNITS, STRESS_UNITS, voigt_to_matrix

Quantity = Literal["energy", "forces", "stress", "spins", "moments", "magnetic_forces"]
"""What a label can be."""

MAGNETIC: tuple[Quantity, ...] = ("spins", "moments", "magnetic_forces")
"""Quantities that are looked for only where spins are asked for."""

_MOMENTS = ("REF_magmoms", "REF_magmom", "REF_moments", "magmoms", "dft_magmoms", "DFT_magmoms")

USUAL_NAMES: Mapping[Quantity, tuple[str, ...]] = {
    "energy": ("REF_energy", "energy", "y_energy", "dft_energy", "DFT_energy"),
    "forces": (
        *("REF_forces", "REF_force", "forces", "force", "y_force", "y_forces"),
        *("dft_forces", "dft_force", "DFT_forces", "DFT_force"),
    ),
    "stress": (
        *("REF_stress", "REF_virial", "REF_virials", "stress", "virial", "virials", "y_stress"),
        *("dft_stress", "dft_virial", "dft_virials", "DFT_stress", "DFT_virial", "DFT_virials"),
    ),
    "spins": (INITIAL, "REF_spin", "REF_spins", "spin", "spins", *_MOMENTS),
    "moments": _MOMENTS,
    "magnetic_forces": ("REF_force_mag", "REF_magnetic_forces", "force_mag", "magnetic_forces"),
}
"""Names looked for, in this order, where no key is given."""

_VASP_ORDER = [0, 1, 2, 4, 5, 3]
_SEVENNET_STRESS = "y_stress"


@dataclass(frozen=True)
class LabelKeys:
    """Names under which labels are stored in ``atoms.info``, ``atoms.arrays`` or the calculator's results.

    A name of None means: take the first of `USUAL_NAMES` that occurs in the file, for each quantity and each file
    separately. A name with ``virial`` in it is read as a virial: ``stress = -virial / volume``. ``y_stress`` is read
    as SevenNet writes it: order xx yy zz xy yz zx, sign opposite to ASE.
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
    """

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None
    spins: str | None = None
    moments: str | None = None
    magnetic_forces: str | None = None
    magnetic: bool = False


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


@dataclass(frozen=True)
class Labels:
    """Labels of one frame.

    Parameters
    ----------
    energy : float or None, eV
    forces : array, shape (n_atoms, 3), eV/Angstrom, or None
    stress : array, shape (3, 3), eV/Angstrom^3, or None
    spins : array, shape (n_atoms,) or (n_atoms, 3), muB, or None
        As stored: numbers are along z.
    moments : array, shape (n_atoms, 3), muB, or None
    magnetic_forces : array, shape (n_atoms, 3), eV/muB, or None
    """

    energy: float | None
    forces: Floats | None
    stress: Floats | None
    spins: Floats | None = None
    moments: Floats | None = None
    magnetic_forces: Floats | None = None


def stored_values(atoms: Atoms) -> dict[str, Any]:
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


def choose_names(stored: Sequence[Mapping[str, Any]], keys: LabelKeys) -> dict[Quantity, str | None]:
    """Name of each quantity for the frames of one file: the named key, or the first usual name that occurs."""
    present = {name for values in stored for name in values}
    named = {quantity: getattr(keys, quantity) for quantity in USUAL_NAMES}
    return {
        quantity: name or next((usual for usual in USUAL_NAMES[quantity] if usual in present), None)
        for quantity, name in named.items()
        if name or keys.magnetic or quantity not in MAGNETIC
    }


def require_keys(keys: LabelKeys, present: set[str]) -> None:
    """Refuse a named key that occurs in no frame.

    Raises
    ------
    DataError
        With the names that do occur and the nearest of them.
    """
    for quantity in USUAL_NAMES:
        name = getattr(keys, quantity)
        if name is None or name in present:
            continue
        near = get_close_matches(name, sorted(present), n=1, cutoff=0.4)
        raise DataError(
            f"no frame has the {quantity} key {name!r}",
            given=f"{quantity} key {name!r}",
            expected="one of the keys in the files: " + (", ".join(sorted(present)) or "(there are none)"),
            cause="a misspelt key, or a file that was written without labels",
            next_step=f"use {near[0]!r}" if near else "name one of these keys, or leave the key out",
        )


def read_labels(
    values: Mapping[str, Any], names: Mapping[Quantity, str | None], units: LabelUnits, n_atoms: int, volume: float
) -> Labels:
    """Labels of one frame in eV, eV/Angstrom and eV/Angstrom^3.

    Parameters
    ----------
    values : mapping
        From `stored_values`.
    names : mapping
        From `choose_names`.
    units : LabelUnits
        What the values mean.
    n_atoms : int
        Number of atoms.
    volume : float
        Of the cell, Angstrom^3; 0 if there is none.

    Raises
    ------
    DataError
        If a value is not numeric, has the wrong shape, or a virial has no cell.
    """
    energy, forces, stress = (_number(values, names[quantity]) for quantity in ("energy", "forces", "stress"))
    spins, moments, slopes = (_number(values, names.get(quantity)) for quantity in MAGNETIC)
    magnetic = read_magnetic(names, spins, moments, slopes, n_atoms)
    return Labels(
        energy=None if energy is None else _energy(energy, str(names["energy"])) * ENERGY_UNITS[units.energy],
        forces=None if forces is None else _forces(forces, str(names["forces"]), n_atoms) * _force_unit(units),
        stress=None if stress is None else _stress(stress, str(names["stress"]), units, volume),
        spins=magnetic.spins,
        moments=magnetic.moments,
        magnetic_forces=None if magnetic.forces is None else magnetic.forces * ENERGY_UNITS[units.energy],
    )


def _require(what: str, name: str, known: Sequence[str] | Mapping[str, float]) -> None:
    if name in known:
        return
    near = get_close_matches(name.lower(), [k.lower() for k in known], n=1, cutoff=0.4)
    match = next((k for k in known if near and k.lower() == near[0]), None)
    raise DataError(
        f"unknown {what} {name!r}",
        expected="one of " + ", ".join(known),
        next_step=f"use {match!r}" if match else "",
    )


def _number(values: Mapping[str, Any], name: str | None) -> Floats | None:
    if name is None or name not in values:
        return None
    try:
        return np.array(values[name], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"label {name!r} is not numeric", given=repr(values[name])[:80], next_step="name another key"
        ) from error


def _force_unit(units: LabelUnits) -> float:
    return ENERGY_UNITS[units.energy] / LENGTH_UNITS[units.length]


def _energy(value: Floats, name: str) -> float:
    if value.size != 1:
        raise DataError(
            f"energy label {name!r} is not one number",
            given=f"shape {value.shape}",
            expected="total energy of the frame",
        )
    return float(value.reshape(()))


def _forces(value: Floats, name: str, n_atoms: int) -> Floats:
    if value.shape != (n_atoms, 3):
        raise DataError(
            f"forces label {name!r} has the wrong shape", given=f"{value.shape}", expected=f"({n_atoms}, 3)"
        )
    return value


def _stress(value: Floats, name: str, units: LabelUnits, volume: float) -> Floats:
    if "virial" in name.lower():
        return -_matrix(value, name, units.stress_order) * ENERGY_UNITS[units.energy] / _cell_volume(volume, name)
    if name == _SEVENNET_STRESS:
        return -_matrix(value, name, "vasp") * STRESS_UNITS[units.stress]
    sign = -1.0 if units.stress_sign == "opposite" else 1.0
    return sign * _matrix(value, name, units.stress_order) * STRESS_UNITS[units.stress]


def _cell_volume(volume: float, name: str) -> float:
    if volume <= 0:
        raise DataError(
            f"virial label {name!r} of a frame without a cell",
            expected="a cell, because stress = -virial / volume",
            next_step="remove the virial of non-periodic frames",
        )
    return volume


def _matrix(value: Floats, name: str, order: str) -> Floats:
    flat = value.reshape(-1)
    if flat.size == 9:
        return flat.reshape(3, 3)
    if flat.size == 6:
        return voigt_to_matrix(flat[_VASP_ORDER] if order == "vasp" else flat)
    raise DataError(f"stress label {name!r} has the wrong shape", given=f"{value.shape}", expected="(6,) or (3, 3)")
