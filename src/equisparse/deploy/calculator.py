"""An ASE calculator of any backbone, with or without an adapter."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone, Prediction, Predictor
from equisparse.magnetism.layer import SpinLayer
from equisparse.magnetism.model import SpinModel
from equisparse.units import matrix_to_voigt


class AdaptedCalculator(Calculator):
    """Energy (eV), forces (eV/Angstrom) and, for periodic structures, stress (eV/Angstrom^3, ASE sign and order).

    Reference-energy shifts are added in float64.

    Parameters
    ----------
    backbone : Predictor
        Its weights are used as they are at every call.
    shifts : mapping of int to float, optional
        Atomic number -> eV.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012  as ASE declares it

    def __init__(self, backbone: Predictor, shifts: Mapping[int, float] | None = None, **kwargs: Any) -> None:
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
        self.results |= self._magnetic(frame, prediction)

    def _magnetic(self, frame: Atoms, prediction: Prediction) -> dict[str, Any]:
        """Results of models that know spins."""
        return {}


class SpinCalculator(AdaptedCalculator):
    """As `AdaptedCalculator`, with magnetic moments (muB) and magnetic forces (eV/muB) from the input spins.

    The input spins are the initial magnetic moments of the atoms, see `equisparse.magnetism.model.SpinModel`: numbers
    give numbers, vectors give vectors. Magnetic forces, shape (n_atoms, 3), are ``results["magnetic_forces"]``.
    """

    implemented_properties = [*AdaptedCalculator.implemented_properties, "magmom", "magmoms"]  # noqa: RUF012

    def _magnetic(self, frame: Atoms, prediction: Prediction) -> dict[str, Any]:
        moments, forces = (
            None if values is None else values.double().cpu().numpy()
            for values in (prediction.moments, prediction.magnetic_forces)
        )
        if moments is None:
            return {}
        if frame.get_initial_magnetic_moments().ndim == 1:
            moments = moments[:, 2]
        found = {"magmoms": moments, "magmom": moments.sum(axis=0)}
        return found if forces is None else found | {"magnetic_forces": forces}


def adapted_calculator(backbone: AbstractBackbone, adapter: Adapter | None = None) -> AdaptedCalculator:
    """Calculator of `backbone`; with an adapter, the backbone's model is changed for good.

    Raises
    ------
    AdapterMismatchError
        If the adapter belongs to another base.
    """
    if adapter is None:
        return AdaptedCalculator(backbone)
    check_adapter(backbone, adapter)
    model = spin_model(backbone, adapter)
    adapter.apply_to(backbone.model)
    return AdaptedCalculator(backbone, adapter.shifts) if model is None else SpinCalculator(model, adapter.shifts)


def spin_model(backbone: AbstractBackbone, adapter: Adapter) -> SpinModel | None:
    """The spin layer that an adapter carries, on its base, whose weights are used as they are; None if there is none.

    It predicts magnetic forces where it was trained on spins with their lengths.

    Raises
    ------
    AdapterError
        If the layer is damaged.
    """
    if adapter.spins is None:
        return None
    layer = SpinLayer.restored(adapter.spins.options, adapter.spins.tensors)
    return SpinModel(backbone, layer, magnetic_forces=layer.options.input == "given")


def check_adapter(backbone: AbstractBackbone, adapter: Adapter) -> None:
    """Raise AdapterMismatchError unless `adapter` was made for this base."""
    adapter.check_base({"source": backbone.identity.source, "sha256": backbone.identity.sha256})
