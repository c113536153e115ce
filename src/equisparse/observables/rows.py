"""Rows of the tables of properties, and the units that the names of properties contain."""

from dataclasses import dataclass
from typing import Literal

Model = Literal["base", "fine-tuned"]
"""One of the two models whose properties are compared."""
BASE: Model = "base"
FINE_TUNED: Model = "fine-tuned"
Source = Literal["base", "fine-tuned", "frames"]
"""One of the two models, or the frames of a run."""

UNITS = {
    "_ang3_per_atom": "Angstrom^3/atom",
    "_mev_per_atom": "meV/atom",
    "_ev_per_atom": "eV/atom",
    "_j_per_m2": "J/m^2",
    "_j_per_k_per_mol": "J/K/mol atoms",
    "_per_cm": "1/cm",
    "_ang": "Angstrom",
    "_deg": "degrees",
    "_gpa": "GPa",
    "_thz": "THz",
    "_mev": "meV",
    "_ev": "eV",
}
"""Ending of the name of a property -> its unit."""
FREQUENCY = "frequency_"
"""Beginning of the names of single vibrations: ``frequency_1_per_cm`` is the lowest."""


@dataclass(frozen=True)
class PropertyRow:
    """One property of one structure.

    Parameters
    ----------
    structure : str
        Name of the structure.
    name : str
        Name of the property, which ends in its unit, such as ``bulk_modulus_gpa``.
    base, adapted : float or None
        Values of the base and of the fine-tuned model; None if a model does not have the property.
    reference : float or None
        Value that the user gave.
    """

    structure: str
    name: str
    base: float | None
    adapted: float | None
    reference: float | None = None

    @property
    def title(self) -> str:
        """Name without the unit.

        >>> PropertyRow("MgO", "c11_gpa", 1.0, 2.0).title, PropertyRow("H2O", "bond_H_O_ang", 1.0, 2.0).title
        ('C11', 'bond H-O')
        """
        words = self.name.removesuffix(self._ending).split("_")
        if words[0] == "bond":
            return "bond " + "-".join(words[1:])
        elastic = len(words) == 1 and words[0][0] == "c" and words[0][1:].isdigit()
        return words[0].upper() if elastic else " ".join(words)

    @property
    def unit(self) -> str:
        """Unit of the values."""
        return UNITS[self._ending]

    @property
    def is_mode(self) -> bool:
        """True for the frequency of one vibration."""
        return self.name.startswith(FREQUENCY)

    @property
    def _ending(self) -> str:
        """Longest ending that is a unit."""
        return max((ending for ending in UNITS if self.name.endswith(ending)), key=len)


@dataclass(frozen=True)
class StructureRow:
    """One structure as one model relaxes it.

    Parameters
    ----------
    structure : str
        Name of the structure.
    model : {"base", "fine-tuned"}
    kind : str
        ``crystal``, ``molecule``, ``surface`` or ``atom``.
    n_atoms : int
        Number of atoms, before a crystal is reduced to its primitive cell.
    symmetry : str
        Symbol and number of the space group of a relaxed crystal; else empty.
    notes : str
        What could not be computed and why, and signs of instability; separated by semicolons.
    """

    structure: str
    model: Model
    kind: str
    n_atoms: int
    symmetry: str
    notes: str


@dataclass(frozen=True)
class VolumePoint:
    """One point of an equation of state.

    Parameters
    ----------
    structure : str
    model : {"base", "fine-tuned"}
    volume_ang3_per_atom : float
    energy_mev_per_atom : float
        Energy above the lowest point of the model.
    """

    structure: str
    model: Model
    volume_ang3_per_atom: float
    energy_mev_per_atom: float


@dataclass(frozen=True)
class ElasticRow:
    """One elastic constant in the frame of the conventional cell.

    Parameters
    ----------
    structure : str
    model : {"base", "fine-tuned"}
    i, j : int
        Voigt indices from 1 to 6 (xx, yy, zz, yz, xz, xy), with i <= j.
    value_gpa : float
    """

    structure: str
    model: Model
    i: int
    j: int
    value_gpa: float


@dataclass(frozen=True)
class BandPoint:
    """One point of a phonon band.

    Parameters
    ----------
    structure : str
    model : {"base", "fine-tuned"}
    branch : int
        Index of the band, lowest frequency first.
    x : float
        Place on the path: the number of its segment, plus the fraction of the segment.
    label : str
        Name of a special point; empty between special points.
    frequency_thz : float
        Negative if the frequency is imaginary.
    """

    structure: str
    model: Model
    branch: int
    x: float
    label: str
    frequency_thz: float


@dataclass(frozen=True)
class RadialPoint:
    """One point of a radial distribution function.

    Parameters
    ----------
    structure : str
    source : {"base", "fine-tuned", "frames"}
        Molecular dynamics with one of the models, or the frames of the run with the same composition.
    distance_ang : float
    value : float
        Density of atoms at the distance from an atom, over the mean density.
    """

    structure: str
    source: Source
    distance_ang: float
    value: float
