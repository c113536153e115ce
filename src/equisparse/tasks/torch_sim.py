"""Models of TorchSim."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from torch import nn

from equisparse.deploy.calculator import adapted_calculator
from equisparse.errors import InputError, MissingPackageError
from equisparse.inputs.adapters import AdapterLike, loaded_adapter
from equisparse.inputs.base import Base, LoadOptions, loaded_base, with_defaults

if TYPE_CHECKING:
    from typing_extensions import Unpack


def torch_sim_model(
    base: Base = "7net-0", adapter: AdapterLike | None = None, **load_options: "Unpack[LoadOptions]"
) -> nn.Module:
    """Model of TorchSim for molecular dynamics and relaxations of many systems in one batch.

    Parameters
    ----------
    base : str, Path or AbstractBackbone
        Name or file of a base, or a loaded base, whose weights are then changed.
    adapter : str, Path or Adapter, optional
        Adapter or its file.
    **load_options
        How a base given by name is loaded; see `equisparse.inputs.base.LoadOptions`. By default, the modality is
        that of the adapter, and the precision is float32.

    Returns
    -------
    Module
        `torch_sim.models.interface.ModelInterface`; see `equisparse.deploy.torch_sim.AdaptedModel`.

    Raises
    ------
    AdapterMismatchError
        If the adapter belongs to another base.
    InputError
        If the adapter has a spin layer: a state of TorchSim has no spins.
    MissingPackageError
        If TorchSim is not installed.
    StateError
        If a loaded base has changed weights or an attached adapter.
    """
    if not find_spec("torch_sim"):
        raise MissingPackageError("TorchSim is not installed.", next_step="pip install 'equisparse[torch-sim]'")
    change = None if adapter is None else loaded_adapter(adapter)
    if change is not None and change.spins is not None:
        raise InputError(
            "The adapter has a spin layer, which TorchSim cannot use.",
            cause="a state of TorchSim has no magnetic moments",
            next_step="use equisparse.calculator, one structure at a time",
        )
    from equisparse.deploy.torch_sim import AdaptedModel

    options = with_defaults(load_options, change.modality if change else None)
    calculator = adapted_calculator(loaded_base(base, options), change)
    return AdaptedModel(calculator.backbone, calculator.shifts)
