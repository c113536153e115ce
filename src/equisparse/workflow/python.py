"""One-line helpers for Python users."""

from pathlib import Path

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.file import load_adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.registry import load_backbone
from equisparse.deploy.calculator import AdaptedCalculator, adapted_calculator


def calculator(
    base: str | AbstractBackbone = "7net-0",
    adapter: str | Path | Adapter | None = None,
    *,
    device: str = "auto",
    dtype: str = "float32",
    modality: str | None = None,
    sha256: str | None = None,
) -> AdaptedCalculator:
    """ASE calculator of a base model, with or without an adapter.

    Parameters
    ----------
    base : str or AbstractBackbone
        Name, file, or a loaded base, whose weights are then changed.
    adapter : str, Path or Adapter, optional
    device, dtype, modality, sha256
        For a base given by name; the modality is the adapter's by default.

    Raises
    ------
    AdapterMismatchError
        If the adapter belongs to another base.
    """
    loaded = load_adapter(adapter) if isinstance(adapter, (str, Path)) else adapter
    if isinstance(base, str):
        chosen = modality or (loaded.modality if loaded else None)
        base = load_backbone(base, device=device, dtype=dtype, modality=chosen, sha256=sha256)
    return adapted_calculator(base, loaded)
