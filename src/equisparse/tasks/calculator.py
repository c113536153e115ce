"""One-line helpers for Python users."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ase.calculators.calculator import Calculator

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.bank import AdapterBank
from equisparse.adapters.ensemble import Ensemble, read_ensemble
from equisparse.adapters.file import load_adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.registry import load_backbone
from equisparse.deploy.calculator import BankCalculator, adapted_calculator
from equisparse.deploy.ensemble_calculator import ensemble_calculator
from equisparse.errors import InputError

AdapterLike = str | Path | Adapter
"""An adapter or its file."""


def calculator(
    base: str | AbstractBackbone | AdapterBank = "7net-0",
    adapter: AdapterLike | Ensemble | Sequence[AdapterLike] | None = None,
    *,
    device: str = "auto",
    dtype: str | None = None,
    modality: str | None = None,
    sha256: str | None = None,
) -> Calculator:
    """ASE calculator of a base model, with or without an adapter, or with several as an ensemble.

    Parameters
    ----------
    base : str, AbstractBackbone or AdapterBank
        Name, file, or a loaded base, whose weights are then changed; or a bank, with the name of one of its adapters.
    adapter : str, Path, Adapter, Ensemble or sequence of adapters, optional
        A file; a folder that `equisparse ensemble` wrote; or several adapters, whose spread is then not scaled. Of
        several, or with a bank, the base is shared and its weights are put back after every call.
    device, dtype, modality, sha256
        For a base given by name; the modality is the adapter's by default, the precision float32, or that of the
        members of an ensemble.

    Raises
    ------
    AdapterMismatchError
        If an adapter belongs to another base.
    StateError
        If a loaded base is not untouched.
    """
    if isinstance(base, AdapterBank):
        if not isinstance(adapter, str):
            raise InputError("A bank needs the name of one of its adapters.", expected=", ".join(base.names))
        return BankCalculator(base, adapter)
    loaded = _loaded(adapter)
    first = next(iter(loaded.adapters.values())) if isinstance(loaded, Ensemble) else loaded
    if isinstance(base, str):
        chosen = modality or (first.modality if first else None)
        precision = dtype or (first.dtype if first and isinstance(loaded, Ensemble) else "float32")
        base = load_backbone(base, device=device, dtype=precision, modality=chosen, sha256=sha256)
    if isinstance(loaded, Ensemble):
        return ensemble_calculator(base, loaded)
    return adapted_calculator(base, loaded)


def bank(base: str | AbstractBackbone, adapters: Mapping[str, AdapterLike], *, device: str = "auto") -> AdapterBank:
    """Several adapters by name on one base; a base given by name is loaded as the first adapter was trained.

    Parameters
    ----------
    base : str or AbstractBackbone
    adapters : mapping of str to adapter
        One or more adapters or files.
    device : str
        For a base given by name.

    Raises
    ------
    AdapterMismatchError
        If an adapter belongs to another base, modality or precision.
    StateError
        If a loaded base is not untouched.
    """
    loaded = {name: _adapter(adapter) for name, adapter in adapters.items()}
    if isinstance(base, str):
        first = next(iter(loaded.values()), None)
        options = {"dtype": first.dtype, "modality": first.modality} if first else {}
        base = load_backbone(base, device=device, **options)  # type: ignore[arg-type]
    made = AdapterBank(base)
    for name, adapter in loaded.items():
        made.add(name, adapter)
    return made


def _loaded(adapter: AdapterLike | Ensemble | Sequence[AdapterLike] | None) -> Adapter | Ensemble | None:
    """What a user means by an adapter."""
    if adapter is None or isinstance(adapter, Ensemble):
        return adapter
    if isinstance(adapter, (str, Path, Adapter)):
        return (
            read_ensemble(adapter) if isinstance(adapter, (str, Path)) and Path(adapter).is_dir() else _adapter(adapter)
        )
    return Ensemble({f"{number}": _adapter(each) for number, each in enumerate(adapter)})


def _adapter(adapter: AdapterLike) -> Adapter:
    """An adapter, read if it is a file."""
    return adapter if isinstance(adapter, Adapter) else load_adapter(adapter)
