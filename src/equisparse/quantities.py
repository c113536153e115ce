"""Quantities: names, shapes, units and display of labels and predictions, in one table.

Labels, predictions, losses, errors, tables, curves, parity plots and files take names, units and order from here.
`register_quantity` adds a quantity: it is then read, trained on and reported, if the backbone predicts it.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from equisparse.errors import InputError
from equisparse.units import GPA_PER_EV_PER_ANG3

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class ShownError:
    """Error of a quantity as it appears in tables and files.

    Parameters
    ----------
    name : str
        Key in ``metrics.json`` and ``metrics.csv``, such as ``force_mae_mev_per_ang``.
    title : str
        Title, such as ``force MAE``.
    unit : str
        Unit, such as ``meV/Angstrom``.
    format : str
        Format of the number in tables.
    factor : float
        Factor from the unit of the quantity to `unit`.
    kind : {"mae", "rmse"}
        Mean absolute or root mean square error.
    """

    name: str
    title: str
    unit: str
    format: str = "{:.3f}"
    factor: float = 1.0
    kind: Literal["mae", "rmse"] = "mae"


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """Description of one kind of label or prediction.

    Parameters
    ----------
    name : str
        Name in files, such as ``forces``; the option for its label key is the name with ``_key`` appended.
    per : {"frame", "atom"}
        Whether there is one value per frame or one per atom.
    shape : tuple of int
        Shape of one value: ``()``, ``(3,)`` or ``(3, 3)``.
    unit : str
        Unit of labels and predictions, in memory and in files.
    singular : str
        Singular of the name, such as ``force``; `name` by default.
    symbol : str
        Short symbol in the table of a running fine-tune; `name` by default.
    errors : tuple of ShownError
        Errors to show; by default the mean absolute error in `unit`, named ``<singular>_mae``.
    label_keys : tuple of str
        Usual names in files, in order of preference; by default ``REF_<name>`` and ``<name>``.
    extensive : bool
        Whether the value grows with the number of atoms; losses and errors are then per atom.
    measured_by : {"component", "length"}
        Whether an error is that of each component, or the length of the difference of two vectors.
    sign_ambiguous : bool
        Whether the common sign of all values of a frame is arbitrary if a backbone says so.
    needs_spins : bool
        Whether its usual names are searched for only if spins are used.
    loss_weight : float
        Default weight of its Huber loss.
    plot_unit : str
        Unit of parity plots; `unit` by default.
    plot_factor : float
        Factor from `unit` (per atom if extensive) to `plot_unit`.
    before : str
        Name of the model before fine-tuning, in titles.
    """

    name: str
    per: Literal["frame", "atom"]
    shape: tuple[int, ...] = ()
    unit: str
    singular: str = ""
    symbol: str = ""
    errors: tuple[ShownError, ...] = ()
    label_keys: tuple[str, ...] = ()
    extensive: bool = False
    measured_by: Literal["component", "length"] = "component"
    sign_ambiguous: bool = False
    needs_spins: bool = False
    loss_weight: float = 1.0
    plot_unit: str = ""
    plot_factor: float = 1.0
    before: str = "base"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                "Invalid name of a quantity.", given=repr(self.name), expected="lower-case letters, digits and _"
            )
        if self.extensive and self.per != "frame":
            raise InputError("Only a quantity per frame can be extensive.", given=f"{self.name}, per {self.per}")
        singular = self.singular or self.name
        defaults = {
            "singular": singular,
            "symbol": self.symbol or self.name,
            "errors": self.errors or (ShownError(f"{singular}_mae", f"{singular} MAE".replace("_", " "), self.unit),),
            "label_keys": self.label_keys or (f"REF_{self.name}", self.name),
            "plot_unit": self.plot_unit or self.unit,
        }
        for name, value in defaults.items():
            object.__setattr__(self, name, value)

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def title(self) -> str:
        """Singular name in words, such as ``magnetic force``."""
        return self.singular.replace("_", " ")

    @property
    def mae(self) -> ShownError:
        """First error; learning curves and the table of a running fine-tune show it."""
        return self.errors[0]

    @property
    def size(self) -> int:
        """Number of components of one value."""
        return math.prod(self.shape)

    def count(self, n_frames: int, n_atoms: int) -> int:
        """Number of values of `n_frames` frames that have `n_atoms` atoms in total."""
        return n_frames if self.per == "frame" else n_atoms


ENERGY = Quantity(
    name="energy",
    per="frame",
    unit="eV",
    symbol="E",
    errors=(
        ShownError("energy_mae_mev_per_atom", "energy MAE", "meV/atom", "{:.2f}", 1e3),
        ShownError("energy_rmse_mev_per_atom", "energy RMSE", "meV/atom", "{:.2f}", 1e3, "rmse"),
    ),
    label_keys=("REF_energy", "energy", "y_energy", "dft_energy", "DFT_energy"),
    extensive=True,
    plot_unit="eV/atom",
    before="base, references refitted",
)
"""Total energy of a frame, eV."""

FORCES = Quantity(
    name="forces",
    per="atom",
    shape=(3,),
    unit="eV/Angstrom",
    singular="force",
    symbol="F",
    errors=(
        ShownError("force_mae_mev_per_ang", "force MAE", "meV/Angstrom", "{:.1f}", 1e3),
        ShownError("force_rmse_mev_per_ang", "force RMSE", "meV/Angstrom", "{:.1f}", 1e3, "rmse"),
    ),
    label_keys=(
        *("REF_forces", "REF_force", "forces", "force", "y_force", "y_forces"),
        *("dft_forces", "dft_force", "DFT_forces", "DFT_force", "atomic_forces"),
    ),
    loss_weight=10.0,
)
"""Forces, eV/Angstrom."""

STRESS = Quantity(
    name="stress",
    per="frame",
    shape=(3, 3),
    unit="eV/Angstrom^3",
    symbol="S",
    errors=(ShownError("stress_mae_gpa", "stress MAE", "GPa", "{:.3f}", GPA_PER_EV_PER_ANG3),),
    label_keys=(
        *("REF_stress", "REF_virial", "REF_virials", "stress", "virial", "virials", "y_stress"),
        *("dft_stress", "dft_virial", "dft_virials", "DFT_stress", "DFT_virial", "DFT_virials"),
    ),
    loss_weight=100.0,
    plot_unit="GPa",
    plot_factor=GPA_PER_EV_PER_ANG3,
)
"""Stress, eV/Angstrom^3, positive under tension (ASE); which frames have one: `equisparse.data.frames.has_stress`."""

SMALLEST_VOLUME = 1e-3
"""Cells of a smaller volume (Angstrom^3) are flat: a stress cannot be computed."""

MOMENTS = Quantity(
    name="moments",
    per="atom",
    shape=(3,),
    unit="muB",
    singular="moment",
    symbol="m",
    errors=(ShownError("moment_mae_mub", "moment MAE", "muB"),),
    label_keys=("REF_magmoms", "REF_magmom", "REF_moments", "magmoms", "dft_magmoms", "DFT_magmoms"),
    measured_by="length",
    sign_ambiguous=True,
    needs_spins=True,
    loss_weight=10.0,
    before="input spins",
)
"""Magnetic moments, muB."""

MAGNETIC_FORCES = Quantity(
    name="magnetic_forces",
    per="atom",
    shape=(3,),
    unit="eV/muB",
    singular="magnetic_force",
    symbol="h",
    errors=(ShownError("magnetic_force_mae_ev_per_mub", "magnetic force MAE", "eV/muB", "{:.4f}"),),
    label_keys=("REF_force_mag", "REF_magnetic_forces", "force_mag", "magnetic_forces"),
    needs_spins=True,
    loss_weight=10.0,
)
"""Negative derivative of the energy with respect to the input spins, eV/muB."""

_REGISTERED: dict[str, Quantity] = {
    quantity.name: quantity for quantity in (ENERGY, FORCES, STRESS, MOMENTS, MAGNETIC_FORCES)
}
_RESERVED = ("spins", "source", "config_type", "index", "n_atoms", "numbers", "positions", "cell")
"""Names that the files of a run use for other data."""


def register_quantity(quantity: Quantity) -> Quantity:
    """Register a quantity, so that it is read, trained on and reported.

    Parameters
    ----------
    quantity : Quantity
        Quantity with a new name and new names of its errors. Registering an equal quantity again has no effect.

    Returns
    -------
    Quantity
        The same quantity, so that the call can be used in an assignment.

    Raises
    ------
    InputError
        If a name is already in use.
    """
    if _REGISTERED.get(quantity.name) == quantity:
        return quantity
    used = {*_REGISTERED, *_RESERVED} | {error.name for error in shown_errors()}
    clashes = sorted(used & {quantity.name, *(error.name for error in quantity.errors)})
    if clashes:
        raise InputError(
            "A quantity or an error of this name exists already.",
            given=", ".join(clashes),
            expected="new names of the quantity and of its errors",
        )
    _REGISTERED[quantity.name] = quantity
    return quantity


def all_quantities() -> tuple[Quantity, ...]:
    """All quantities in the order of tables: the built-in ones, then others in the order of their registration."""
    return tuple(_REGISTERED.values())


def find_quantity(name: str) -> Quantity:
    """Find a quantity by its name.

    Raises
    ------
    InputError
        If there is no such quantity.
    """
    if name not in _REGISTERED:
        raise InputError("There is no such quantity.", given=name, expected=", ".join(_REGISTERED))
    return _REGISTERED[name]


def shown_errors() -> Iterator[ShownError]:
    """Iterate over the errors of all quantities in the order of tables."""
    for quantity in all_quantities():
        yield from quantity.errors
