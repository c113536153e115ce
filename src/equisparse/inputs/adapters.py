"""Adapters that are given as files, as folders, on the hub, at a URL, or as objects."""

from pathlib import Path
from typing import TypeAlias

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.file import ADAPTER, load_adapter
from equisparse.hub import fetched, is_remote

AdapterLike: TypeAlias = str | Path | Adapter
"""An adapter; its file; the folder of its run; ``hf:USER/NAME[@REVISION]``; or a URL."""


def loaded_adapter(adapter: AdapterLike) -> Adapter:
    """Read an adapter from its file, which is downloaded if it is on the hub; an `Adapter` is returned as it is.

    Raises
    ------
    AdapterError
        If the file is damaged, too new, or no adapter.
    InputError
        If it cannot be downloaded.
    MissingPackageError
        If it is on the hub and `huggingface_hub` is not installed.
    """
    return adapter if isinstance(adapter, Adapter) else load_adapter(adapter_file(adapter))


def adapter_file(name: str | Path) -> Path:
    """Path of the file of an adapter; the file is downloaded if it is on the hub or at a URL.

    Parameters
    ----------
    name : str or Path
        File, folder of a run, ``hf:USER/NAME[@REVISION]`` or URL.

    Raises
    ------
    InputError
        If it cannot be downloaded.
    MissingPackageError
        If it is on the hub and `huggingface_hub` is not installed.
    """
    if isinstance(name, str) and is_remote(name):
        return fetched(name, ADAPTER)
    path = Path(name)
    return path / ADAPTER if (path / ADAPTER).is_file() else path


def adapter_name(adapter: AdapterLike) -> str:
    """Name of an adapter in tables: its file name, preceded by the folder of the run if all runs use this file name."""
    if isinstance(adapter, Adapter):
        return adapter.label
    if isinstance(adapter, str) and is_remote(adapter):
        return adapter.removesuffix(f"/{ADAPTER}").rpartition("/")[2]
    path = adapter_file(adapter)
    return f"{path.resolve().parent.name}/{path.name}" if path.name == ADAPTER else path.name
