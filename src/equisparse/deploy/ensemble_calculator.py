"""ASE calculator of an ensemble: mean and spread of several adapters on one base."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_changes

from equisparse.adapters.bank import AdapterBank
from equisparse.adapters.ensemble_file import Ensemble, Scales
from equisparse.backbones.base import AbstractBackbone
from equisparse.deploy.calculator import StressCalculator, results
from equisparse.inference.structures import check_structures, warn_of_unfitted


class EnsembleCalculator(StressCalculator):
    """Calculator of the means of the members and of their scaled standard deviations.

    In addition to ASE's results there are ``energy_std`` (eV), ``forces_std`` (eV/Angstrom, shape (n_atoms, 3)) and,
    for structures with a stress, ``stress_std`` (eV/Angstrom^3, ASE order): sample standard deviations over the members
    (divided by M - 1) times the scales of the ensemble. The mean forces are the derivative of the mean energy. The
    neighbour list is computed once per structure.

    Parameters
    ----------
    bank : AdapterBank
        Bank of all members; every call restores the adapter that was in use before.
    names : sequence of str
        Names of the members.
    scales : Scales
        Scales from a calibration; 1 by default.
    """

    implemented_properties = [  # noqa: RUF012  as ASE declares it
        "energy", "free_energy", "forces", "stress", "energy_std", "forces_std", "stress_std",
    ]  # fmt: skip

    def __init__(self, bank: AdapterBank, names: tuple[str, ...], scales: Scales | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.bank, self.names, self.scales = bank, tuple(names), scales or Scales()

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Fill `results`; called by ASE."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        members = self._members(Atoms(self.atoms))
        self.results = {name: np.mean(values, axis=0) for name, values in members.items()}
        for name, values in members.items():
            scale = getattr(self.scales, name, 1.0)  # registered quantities are not calibrated
            self.results[f"{name}_std"] = scale * np.std(values, axis=0, ddof=1)
        self.results |= {name: float(self.results[name]) for name in ("energy", "energy_std")}
        self.results["free_energy"] = self.results["energy"]

    def _members(self, frame: Atoms) -> Mapping[str, Any]:
        """Results of all members, stacked along the first axis."""
        check_structures(self.bank.backbone, [frame])
        graph, rows = self.bank.backbone.graph(frame), []
        with self.bank.using(self.bank.in_use):
            for name in self.names:
                self.bank.use(name)
                warn_of_unfitted(self.bank.shifts, [frame])
                rows.append(results(self.bank.backbone, graph, frame, self.bank.shifts))
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def ensemble_calculator(backbone: AbstractBackbone, ensemble: Ensemble) -> EnsembleCalculator:
    """Create the calculator of an ensemble; only the calculator may change the base from now on.

    Raises
    ------
    AdapterMismatchError
        If the members belong to another base, modality or precision.
    StateError
        If the base is not untouched.
    """
    bank = AdapterBank(backbone)
    for name, adapter in ensemble.adapters.items():
        bank.add(name, adapter)
    return EnsembleCalculator(bank, bank.names, ensemble.scales)
