"""Calculator that adds reference energies to those of another calculator."""

from collections.abc import Mapping
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from equisparse.adapters.adapter import Adapter
from equisparse.inference.dataset import reference_energy
from equisparse.inference.structures import warn_of_unfitted


class ShiftedCalculator(Calculator):
    """Calculator of a checkpoint that was merged without shifts: the fitted reference energies are added in float64.

    Forces and stress are those of the other calculator. Energies per atom, if it has any, are left out.

    Parameters
    ----------
    calculator : Calculator
        The upstream's calculator of the merged checkpoint.
    shifts : Adapter, or mapping of int to float
        The adapter that was merged, or its shifts: atomic number -> eV.
    """

    def __init__(self, calculator: Calculator, shifts: Adapter | Mapping[int, float], **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.calculator = calculator
        self.shifts = dict(shifts.shifts if isinstance(shifts, Adapter) else shifts)
        self.implemented_properties = [name for name in calculator.implemented_properties if name != "energies"]

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Fill `results`; called by ASE."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        frame = Atoms(self.atoms)
        warn_of_unfitted(self.shifts, [frame])
        self.calculator.calculate(frame, properties, system_changes)
        self.results = {name: value for name, value in self.calculator.results.items() if name != "energies"}
        added = reference_energy(frame, self.shifts)
        for name in self.results.keys() & {"energy", "free_energy"}:
            self.results[name] = float(self.results[name]) + added
