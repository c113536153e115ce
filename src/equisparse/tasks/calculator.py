"""ASE calculators and banks of adapters."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ase.calculators.calculator import Calculator

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.bank import AdapterBank
from equisparse.adapters.ensemble_file import Ensemble, read_ensemble
from equisparse.adapters.file import ADAPTER
from equisparse.deploy.calculator import BankCalculator, adapted_calculator
from equisparse.deploy.ensemble_calculator import ensemble_calculator
from equisparse.errors import InputError
from equisparse.inputs.adapters import AdapterLike, loaded_adapter
from equisparse.inputs.base import Base, LoadOptions, loaded_base, with_defaults

if TYPE_CHECKING:
    from typing_extensions import Unpack


def calculator(
    base: Base | AdapterBank = "7net-0",
    adapter: AdapterLike | Ensemble | Sequence[AdapterLike] | None = None,
    **load_options: "Unpack[LoadOptions]",
) -> Calculator:
    """ASE calculator of a base model, with or without an adapter, or with several as an ensemble.

    Parameters
    ----------
    base : str, Path, AbstractBackbone or AdapterBank
        Name or file of a base; a loaded base, whose weights are then changed; or a bank.
    adapter : str, Path, Adapter, Ensemble or sequence of adapters, optional
        Adapter or its file; folder of an ensemble; or several adapters, whose spread is then not scaled. With a bank,
        the name of one of its adapters. A bank and the members of an ensemble share one base, whose weights are
        restored after every call.
    **load_options
        How a base given by name is loaded; see `equisparse.inputs.base.LoadOptions`. By default, the modality is
        that of the adapter; the precision is float32, or that of the members of an ensemble.

    Raises
    ------
    AdapterMismatchError
        If an adapter belongs to another base.
    StateError
        If a loaded base has changed weights or an attached adapter.
    """
    if isinstance(base, AdapterBank):
        if not isinstance(adapter, str):
            raise InputError("A bank needs the name of one of its adapters.", expected=", ".join(base.names))
        return BankCalculator(base, adapter)
    change = _loaded_change(adapter)
    if isinstance(change, Ensemble):
        first = next(iter(change.adapters.values()))
        options = with_defaults(load_options, first.modality, first.dtype)
        return ensemble_calculator(loaded_base(base, options), change)
    options = with_defaults(load_options, change.modality if change else None)
    return adapted_calculator(loaded_base(base, options), change)


def bank(base: Base, adapters: Mapping[str, AdapterLike], **load_options: "Unpack[LoadOptions]") -> AdapterBank:
    """Make a bank of several adapters on one base.

    Parameters
    ----------
    base : str, Path or AbstractBackbone
    adapters : mapping of str to adapter
        Name -> adapter or its file; one or more.
    **load_options
        How a base given by name is loaded; see `equisparse.inputs.base.LoadOptions`. By default, modality and precision
        are those of the first adapter.

    Raises
    ------
    AdapterMismatchError
        If an adapter belongs to another base, modality or precision.
    StateError
        If a loaded base has changed weights or an attached adapter.
    """
    changes = {name: loaded_adapter(adapter) for name, adapter in adapters.items()}
    first = next(iter(changes.values()), None)
    options = with_defaults(load_options, first.modality, first.dtype) if first else load_options
    adapter_bank = AdapterBank(loaded_base(base, options))
    for name, adapter in changes.items():
        adapter_bank.add(name, adapter)
    return adapter_bank


def _loaded_change(adapter: AdapterLike | Ensemble | Sequence[AdapterLike] | None) -> Adapter | Ensemble | None:
    """One adapter, or an ensemble of several; read if files are given."""
    if adapter is None or isinstance(adapter, (Adapter, Ensemble)):
        return adapter
    if isinstance(adapter, (str, Path)):
        return read_ensemble(adapter) if _is_ensemble(adapter) else loaded_adapter(adapter)
    return Ensemble({f"{index}": loaded_adapter(member) for index, member in enumerate(adapter)})


def _is_ensemble(folder: str | Path) -> bool:
    """Whether a path is a folder that is not that of a single run."""
    return Path(folder).is_dir() and not (Path(folder) / ADAPTER).is_file()
