"""Options that several commands share: the base model, and the names and units of labels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from equisparse.options import ADVANCED, DATA, MAGNETISM, MODEL, Option

if TYPE_CHECKING:
    from equisparse.data.labels import LabelKeys, LabelUnits

BASE = "Base model: a name such as 7net-0 or mace-mpa-0, or a checkpoint file"


@dataclass(frozen=True, kw_only=True)
class BaseOptions:
    """Options of loading a base model; each field carries its own description."""

    backbone: Annotated[
        str | None,
        Option(
            "Package that the base belongs to: sevennet, mace or nequip",
            MODEL,
            "NAME",
            shown_default="guessed from the base",
        ),
    ] = None
    modality: Annotated[
        str | None,
        Option(
            "Task of a multi-task base, such as the head of a MACE model or the modality of SevenNet", MODEL, "NAME"
        ),
    ] = None
    sha256: Annotated[
        str | None, Option("Expected SHA-256 of the base file (first 8 or more hex digits)", MODEL, "DIGITS")
    ] = None
    device: Annotated[str, Option("Where to compute: auto, cpu, cuda or cuda:1", ADVANCED, "DEVICE")] = "auto"
    dtype: Annotated[Literal["float32", "float64"], Option("Floating-point precision", ADVANCED)] = "float32"


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """Names and units of the labels in data files; each field carries its own description."""

    energy_key: Annotated[
        str | None, Option("Name of the energy label", DATA, "NAME", shown_default="the usual names")
    ] = None
    forces_key: Annotated[
        str | None, Option("Name of the force labels", DATA, "NAME", shown_default="the usual names")
    ] = None
    stress_key: Annotated[
        str | None, Option("Name of the stress or virial label", DATA, "NAME", shown_default="the usual names")
    ] = None
    spins_key: Annotated[
        str | None, Option("Name of the input spins, in muB", MAGNETISM, "NAME", shown_default="the usual names")
    ] = None
    moments_key: Annotated[
        str | None,
        Option("Name of the magnetic moment labels, in muB", MAGNETISM, "NAME", shown_default="the usual names"),
    ] = None
    magnetic_forces_key: Annotated[
        str | None, Option("Name of the magnetic force labels", MAGNETISM, "NAME", shown_default="the usual names")
    ] = None
    energy_unit: Annotated[str, Option("Unit of energies, of virials, and of the energy in forces", DATA, "UNIT")] = (
        "eV"
    )
    length_unit: Annotated[str, Option("Unit of the length in forces; positions are in Angstrom", DATA, "UNIT")] = (
        "Angstrom"
    )
    stress_unit: Annotated[str, Option("Unit of stresses", DATA, "UNIT")] = "eV/Angstrom^3"
    stress_sign: Annotated[
        Literal["ase", "opposite"],
        Option("Sign of stresses: as ASE, or opposite, as VASP prints them", DATA),
    ] = "ase"
    stress_order: Annotated[
        Literal["ase", "vasp"],
        Option("Order of six stress components: xx yy zz yz xz xy (ase) or xx yy zz xy yz zx (vasp)", DATA),
    ] = "ase"

    def label_keys(self, *, magnetic: bool) -> "LabelKeys":
        """Names of the labels; with `magnetic`, the usual names of spins and moments are searched, too."""
        from equisparse.data.labels import LabelKeys

        return LabelKeys(
            energy=self.energy_key,
            forces=self.forces_key,
            stress=self.stress_key,
            spins=self.spins_key,
            moments=self.moments_key,
            magnetic_forces=self.magnetic_forces_key,
            magnetic=magnetic,
        )

    @property
    def units(self) -> "LabelUnits":
        """Units and conventions of the labels."""
        from equisparse.data.labels import LabelUnits

        return LabelUnits(
            energy=self.energy_unit,
            length=self.length_unit,
            stress=self.stress_unit,
            stress_sign=self.stress_sign,
            stress_order=self.stress_order,
        )
