"""Names under which labels are stored, and what their values mean: units, signs, component order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from equisparse.data.magnetic import INITIAL
from equisparse.errors import DataError
from equisparse.quantities import MOMENTS, all_quantities, find_quantity
from equisparse.units import ENERGY_UNITS, LENGTH_UNITS, STRESS_UNITS

SPINS = "spins"
"""Name of the input spins among the names of labels: they are an input, not a quantity."""

SPIN_NAMES = (INITIAL, "REF_spin", "REF_spins", "spin", "spins", *MOMENTS.label_keys)
"""Names under which files usually store the input spins."""


@dataclass(frozen=True)
class LabelKeys:
    """Names under which labels are stored in ``atoms.info``, ``atoms.arrays`` or the calculator's results.

    A name of None means: take the first of the usual names (`Quantity.label_keys`) that the frame has. If a frame has
    several of them, their values must agree. A name with ``virial`` in it is read as a virial:
    ``stress = -virial / volume``.
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
