"""ASE calculators of any backbone, with or without an adapter."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.bank import AdapterBank
from equisparse.backbones.base import AbstractBackbone, Predictor
from equisparse.data.frames import Floats, has_stress
from equisparse.inference.structures import check_structures, warn_of_not_finite, warn_of_unfitted
from equisparse.magnetism.layer import SpinLayer
from equisparse.magnetism.model import SpinModel
from equisparse.quantities import ENERGY, MOMENTS, STRESS
from equisparse.units import matrix_to_voigt

Results = dict[str, float | Floats]
"""Results of a calculator by ASE's names, in ASE's units and shapes."""


class StressCalculator(Calculator):
    """Calculator whose error says why a structure has no stress."""

    def get_property(self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True) -> Any:
        """Return a result by ASE's name; called by ASE.

        Raises
        ------
        PropertyNotImplementedError
            If the calculator has no such result, or the structure has no stress.
        """
        try:
            return super().get_property(name, atoms, allow_calculation)  # type: ignore[no-untyped-call]
        except PropertyNotImplementedError as error:
            if name != "stress":
                raise
            raise PropertyNotImplementedError(
                "The structure has no stress: no direction is periodic, or its cell has no volume. Set atoms.pbc and "
                "all three cell vectors."
            ) from error


class AdaptedCalculator(StressCalculator):
    """Calculator of a backbone: energy, forces and, if the structure has a volume, stress.

    Units are eV, eV/Angstrom and eV/Angstrom^3, with ASE's sign and order of the stress. Reference-energy shifts are
    added in float64. `equisparse.data.frames.has_stress` defines which structures have a stress.

    A structure is refused if it has no atoms, an element that the base does not know, positions or a cell that are not
    finite, or a periodic direction without a cell vector. An `EquisparseWarning` tells of elements without a fitted
    reference energy, and of results that are not finite.

    Parameters
    ----------
    backbone : Predictor
        Model; every call uses its present weights.
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
        frame = Atoms(self.atoms)  # a copy: upstream code may modify it
        check_structures(self.backbone, [frame])
        warn_of_unfitted(self.shifts, [frame])
        self.results = results(self.backbone, self.backbone.graph(frame), frame, self.shifts)
        self.results["free_energy"] = self.results["energy"]


class SpinCalculator(AdaptedCalculator):
    """Calculator of a model with spins: also magnetic moments (muB) and magnetic forces (eV/muB).

    The input spins are the initial magnetic moments of the atoms, see `equisparse.magnetism.model.SpinModel`: numbers
    give numbers, vectors give vectors. Magnetic forces, shape (n_atoms, 3), are ``results["magnetic_forces"]``.
    """

    implemented_properties = [*AdaptedCalculator.implemented_properties, "magmom", "magmoms"]  # noqa: RUF012


class BankCalculator(AdaptedCalculator):
    """Calculator of one adapter of a bank; several such calculators share one base.

    Parameters
    ----------
    bank : AdapterBank
        Bank; every call restores the adapter that was in use before.
    name : str
        Name of an adapter of the bank.

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
    """Compute the results of the present weights for one frame, by ASE's names and in ASE's shapes.

    Parameters
    ----------
    backbone : Predictor
    graph
        Graph of the frame from `backbone.graph`; it can be used again.
    frame : Atoms
    shifts : mapping of int to float
        Atomic number -> eV, added to the energy.

    Returns
    -------
    dict
        Energy, forces, stress if the frame has one, and all other predicted quantities by name.

    Warns
    -----
    EquisparseWarning
        If a value is not finite.
    """
    predicted = {
        quantity: values.double().cpu().numpy()
        for quantity, values in backbone.predict(backbone.collate([graph])).items()
    }
    warn_of_not_finite(predicted, [frame])
    energy, stress = predicted.pop(ENERGY), predicted.pop(STRESS)
    values: Results = {"energy": float(energy[0]) + sum(shifts.get(z, 0.0) for z in frame.numbers.tolist())}
    if has_stress(frame):
        values["stress"] = matrix_to_voigt(np.asarray(stress[0]))
    if MOMENTS in predicted:
        values |= _magnetic_moments(frame, predicted.pop(MOMENTS))
    others = {quantity.name: values if quantity.per == "atom" else values[0] for quantity, values in predicted.items()}
    return values | others


def _magnetic_moments(frame: Atoms, moments: Floats) -> Results:
    """Moments in ASE's form: scalars if the input spins are scalars, vectors otherwise."""
    shown = moments[:, 2] if frame.get_initial_magnetic_moments().ndim == 1 else moments
    return {"magmoms": shown, "magmom": shown.sum(axis=0)}


def adapted_calculator(backbone: AbstractBackbone, adapter: Adapter | None = None) -> AdaptedCalculator:
    """Create the calculator of a backbone; an adapter changes its model permanently.

    Raises
    ------
    AdapterMismatchError
        If the adapter belongs to another base.
    StateError
        If the base is not untouched, for example because an adapter was applied before.
    """
    if adapter is None:
        return AdaptedCalculator(backbone)
    check_adapter(backbone, adapter)
    model = spin_model(backbone, adapter)
    adapter.apply_to(backbone.model)
    return AdaptedCalculator(backbone, adapter.shifts) if model is None else SpinCalculator(model, adapter.shifts)


def spin_model(backbone: AbstractBackbone, adapter: Adapter) -> SpinModel | None:
    """Restore the spin layer of an adapter on its base; None if there is none.

    The model predicts magnetic forces if it was trained on spins with their lengths.

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
    """Raise AdapterMismatchError unless an adapter belongs to this base, and StateError unless it is untouched."""
    adapter.check_base(vars(backbone.identity))
    backbone.check_untouched()
