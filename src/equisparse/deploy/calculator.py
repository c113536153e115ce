"""An ASE calculator of any backbone, with or without an adapter."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.units import matrix_to_voigt


class AdaptedCalculator(Calculator):
    """Energy (eV), forces (eV/Angstrom) and, for periodic structures, stress (eV/Angstrom^3, ASE sign and order).

    Reference-energy shifts are added in float64.

    Parameters
    ----------
    backbone : AbstractBackbone
        Its weights are used as they are at every call.
    shifts : mapping of int to float, optional
        Atomic number -> eV.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012  as ASE declares it

    def __init__(self, backbone: AbstractBackbone, shifts: Mapping[int, float] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.backbone, self.shifts = backbone, dict(shifts or {})

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Fill `results`; called by ASE."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        frame = Atoms(self.atoms)  # a copy, so that nothing upstream does to a frame reaches the user
        prediction = self.backbone.predict(self.backbone.collate([self.backbone.graph(frame)]))
        energy = float(prediction.energy[0]) + sum(self.shifts.get(z, 0.0) for z in frame.numbers.tolist())
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": prediction.forces.double().cpu().numpy(),
        }
        if frame.cell.rank == 3 and frame.pbc.any():
            stress = prediction.stress[0].double().cpu().numpy()
            self.results["stress"] = matrix_to_voigt(np.asarray(stress))


def adapted_calculator(backbone: AbstractBackbone, adapter: Adapter | None = None) -> AdaptedCalculator:
    """Calculator of `backbone`; with an adapter, the backbone's model is changed for good.

    Raises
    ------
    AdapterMismatchError
        If the adapter belongs to another base.
    StateError
        If the base is not untouched, such as one that has an adapter applied already.
    """
    if adapter is None:
        return AdaptedCalculator(backbone)
    check_adapter(backbone, adapter)
    adapter.apply_to(backbone.model)
    return AdaptedCalculator(backbone, adapter.shifts)


def check_adapter(backbone: AbstractBackbone, adapter: Adapter) -> None:
    """Raise AdapterMismatchError unless `adapter` was made for this base, StateError unless it is untouched."""
    adapter.check_base(vars(backbone.identity))
    backbone.check_untouched()
