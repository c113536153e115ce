"""Adapters that are given as files or as objects."""

from pathlib import Path
from typing import TypeAlias

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.file import ADAPTER, load_adapter

AdapterLike: TypeAlias = str | Path | Adapter
"""An adapter, or its file."""


def loaded_adapter(adapter: AdapterLike) -> Adapter:
    """Read an adapter from its file; an `Adapter` is returned as it is.

    Raises
    ------
    AdapterError
        If the file is damaged, too new, or no adapter.
    """
    return adapter if isinstance(adapter, Adapter) else load_adapter(adapter)


def adapter_name(adapter: AdapterLike) -> str:
    """Name of an adapter in tables: its file name, preceded by the folder of the run if all runs use this file name."""
    if isinstance(adapter, Adapter):
        return adapter.label
    path = Path(adapter)
    return f"{path.resolve().parent.name}/{path.name}" if path.name == ADAPTER else path.name
