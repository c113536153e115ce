"""Nequix's own ASE calculator, for structures of every periodicity."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.geometry import complete_cell

from equisparse.backbones.upstream import environment_restored, quiet_import
from equisparse.data.frames import has_stress
from equisparse.deploy.calculator import StressCalculator


def nequix_calculator(path: Path, cutoff: float) -> Calculator | None:
    """The calculator of the package nequix for a file; None if it is not installed.

    Parameters
    ----------
    path : Path
        File ending in ``.nqx``.
    cutoff : float
        Cutoff of the model, Angstrom.
    """
    with environment_restored():
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX would take most of a GPU's memory
        try:
            with quiet_import():
                from nequix.calculator import NequixCalculator
        except ImportError:
            return None
        return _AnyPeriodicity(NequixCalculator(model_path=path, backend="jax", use_kernel=False), cutoff)


class _AnyPeriodicity(StressCalculator):
    """Nequix's calculator for structures of every periodicity.

    By itself, it ignores the periodic images of structures that are periodic in one or two directions only (nequix
    0.4.5 adds no cell vectors to their distances), and gives them no stress.

    Parameters
    ----------
    calculator : NequixCalculator
    cutoff : float
        Cutoff of the model, Angstrom.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012  as ASE declares it

    def __init__(self, calculator: Calculator, cutoff: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._calculator, self._cutoff = calculator, cutoff

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Fill `results`; called by ASE."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        own = Atoms(self.atoms)
        stressed = has_stress(own)
        frame = closed(own, self._cutoff) if own.pbc.any() else own.copy()
        frame.calc = self._calculator
        energy = float(frame.get_potential_energy())
        self.results = {"energy": energy, "free_energy": energy, "forces": frame.get_forces()}
        if stressed:
            self.results["stress"] = frame.get_stress() * frame.cell.volume / own.cell.volume


def closed(atoms: Atoms, cutoff: float) -> Atoms:
    """The same structure, periodic in all directions, with so much vacuum that nothing new is within the cutoff."""
    frame: Atoms = atoms.copy()
    if not atoms.pbc.all():
        periodic = np.where(atoms.pbc[:, np.newaxis], atoms.cell.array, 0.0)
        cell = complete_cell(periodic)
        extent = 2 * float(np.linalg.norm(np.ptp(atoms.positions, axis=0))) + 2 * cutoff + 1
        cell[~atoms.pbc] *= extent
        frame.set_cell(cell)
        frame.pbc = True
    return frame
