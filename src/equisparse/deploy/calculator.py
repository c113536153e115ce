"""An ASE calculator of any backbone, with or without an adapter."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.bank import AdapterBank
from equisparse.backbones.base import AbstractBackbone, Predictor
from equisparse.data.frames import Floats, has_stress
from equisparse.magnetism.layer import SpinLayer
from equisparse.magnetism.model import SpinModel
from equisparse.quantities import ENERGY, MOMENTS, STRESS
from equisparse.units import matrix_to_voigt

Results = dict[str, float | Floats]
"""Results of a calculator by ASE's names, in ASE's units and shapes."""


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
        self.results = results(self.backbone, self.backbone.graph(frame), frame, self.shifts)
        self.results["free_energy"] = self.results["energy"]


class SpinCalculator(AdaptedCalculator):
    """As `AdaptedCalculator`, with magnetic moments (muB) and magnetic forces (eV/muB) from the input spins.

    The input spins are the initial magnetic moments of the atoms, see `equisparse.magnetism.model.SpinModel`: numbers
    give numbers, vectors give vectors. Magnetic forces, shape (n_atoms, 3), are ``results["magnetic_forces"]``.
    """

    implemented_properties = [*AdaptedCalculator.implemented_properties, "magmom", "magmoms"]  # noqa: RUF012


class BankCalculator(AdaptedCalculator):
    """Calculator of one adapter of a bank; several such calculators share the one base.

    Parameters
    ----------
    bank : AdapterBank
        After every call it has in use what it had before.
    name : str
        Of an adapter of the bank.

    Raises
    ------
    InputError
        If the bank has no such adapter.
    """

    def __init__(self, bank: AdapterBank, name: str, **kwargs: Any) -> None:
        super().__init__(bank.backbone, bank[name].shifts, **kwargs)
        self.bank, self.adapter_name = bank, name

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Fill `results`; called by ASE."""
        with self.bank.using(self.adapter_name):
            super().calculate(atoms, properties, system_changes)


def results(backbone: Predictor, graph: Any, frame: Atoms, shifts: Mapping[int, float]) -> Results:
    """Energy with shifts, forces, and stress if the frame is periodic, of the present weights, as ASE has them.

    Parameters
    ----------
    backbone : Predictor
    graph
        Of the frame, from `backbone.graph`; can be used again.
    frame : Atoms
    shifts : mapping of int to float
        Atomic number -> eV.
    """
    predicted = {
        quantity: values.double().cpu().numpy()
        for quantity, values in backbone.predict(backbone.collate([graph])).items()
    }
    energy, stress = predicted.pop(ENERGY), predicted.pop(STRESS)
    values: Results = {"energy": float(energy[0]) + sum(shifts.get(z, 0.0) for z in frame.numbers.tolist())}
    if has_stress(frame):
        values["stress"] = matrix_to_voigt(np.asarray(stress[0]))
    if MOMENTS in predicted:
        values |= _magnetic_moments(frame, predicted.pop(MOMENTS))
    others = {quantity.name: values if quantity.per == "atom" else values[0] for quantity, values in predicted.items()}
    return values | others


def _magnetic_moments(frame: Atoms, moments: Floats) -> Results:
    """Moments as ASE has them: scalars where the input spins are scalars."""
    shown = moments[:, 2] if frame.get_initial_magnetic_moments().ndim == 1 else moments
    return {"magmoms": shown, "magmom": shown.sum(axis=0)}


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
    """Raise AdapterMismatchError unless `adapter` was made for this base, StateError unless it is untouched."""
    adapter.check_base(vars(backbone.identity))
    backbone.check_untouched()
