"""Adapter files: safetensors with a versioned JSON header. Reading needs no backbone and never runs code.

Layout of version 1 (see docs/file-format.md): tensors ``<parameter>/<part>``, for example ``<parameter>/index`` and
``<parameter>/value``; ``reference_energy/atomic_number`` and ``reference_energy/shift`` (eV); and one metadata entry
``equisparse`` with everything else as JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from equisparse.adapters.adapter import Adapter
from equisparse.blocks import Layout
from equisparse.errors import AdapterError
from equisparse.files import replacing
from equisparse.methods.registry import METHODS

FORMAT_VERSION = 1
"""Version that this package writes; older ones are read, newer ones refused."""

_ENTRY = "equisparse"
_REFERENCE = "reference_energy"
_LARGEST_HEADER = 16 * 2**20


def save_adapter(adapter: Adapter, path: str | Path) -> int:
    """Write an adapter, all at once.

    Returns
    -------
    int
        Size of the file in bytes.
    """
    path = Path(path)
    contents = save(_tensors(adapter), metadata={_ENTRY: json.dumps(_header(adapter), separators=(",", ":"))})
    with replacing(path) as file:
        file.write(contents)
    return len(contents)


def load_adapter(path: str | Path) -> Adapter:
    """Read an adapter and check it.

    Raises
    ------
    AdapterError
        If the file is missing, damaged, too new, or no adapter.
    """
    path = Path(path)
    if not path.is_file():
        raise AdapterError(
            "There is no such adapter file.", given=str(path), expected="a file such as adapter.safetensors"
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            text = (file.metadata() or {}).get(_ENTRY, "")
            header = _parse_header(text, path)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
        return _assemble(header, tensors)
    except AdapterError:
        raise
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OverflowError, AttributeError) as error:
        raise AdapterError(
            "The adapter file is damaged.",
            given=str(path),
            expected=f"an adapter file of version <= {FORMAT_VERSION}",
            cause=f"{type(error).__name__}: {str(error)[:200]}",
            next_step="copy the file again, or make it again from the run's checkpoints with --resume",
        ) from error


def _header(adapter: Adapter) -> dict[str, Any]:
    """Everything of an adapter that is no tensor."""
    return {
        "version": FORMAT_VERSION,
        "method": adapter.method,
        "options": dict(adapter.options),
        "base": dict(adapter.base),
        "dtype": adapter.dtype,
        "elements": list(adapter.elements),
        "modality": adapter.modality,
        "layout": adapter.layout.to_dict(),
        "metrics": dict(adapter.metrics),
    }


def _tensors(adapter: Adapter) -> dict[str, Tensor]:
    """All tensors of an adapter under the names of the file."""
    tensors = {
        f"{name}/{part}": tensor.contiguous()
        for name, parts in adapter.stored.items()
        for part, tensor in parts.items()
    }
    if adapter.shifts:
        numbers = sorted(adapter.shifts)
        tensors[f"{_REFERENCE}/atomic_number"] = torch.tensor(numbers, dtype=torch.int32)
        tensors[f"{_REFERENCE}/shift"] = torch.tensor([adapter.shifts[z] for z in numbers], dtype=torch.float64)
    return tensors


def _parse_header(text: str, path: Path) -> dict[str, Any]:
    """JSON header of a readable version."""
    if not text or len(text) > _LARGEST_HEADER:
        raise AdapterError(
            "This safetensors file is not an equisparse adapter.", given=str(path), cause="a file of another program"
        )
    header = json.loads(text)
    version = header["version"]
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise AdapterError(
            "The adapter was written by a newer equisparse.",
            given=f"file version {version}",
            expected=f"at most {FORMAT_VERSION}",
            next_step="pip install --upgrade equisparse",
        )
    if not isinstance(header, dict) or header["method"] not in METHODS:
        raise AdapterError(
            "The adapter uses a method that is not known here.",
            given=str(header["method"]),
            expected=", ".join(METHODS),
        )
    return header


def _assemble(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Adapter:
    """Adapter of a checked header and the file's tensors; every tensor is checked against the layout."""
    layout = Layout.from_dict(header["layout"])
    stored: dict[str, dict[str, Tensor]] = {}
    references: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        name, _, part = key.rpartition("/")
        if name == _REFERENCE:
            references[part] = tensor
        else:
            stored.setdefault(name, {})[part] = tensor
    for name, parts in stored.items():
        _check_parts(name, parts, layout)
    adapter = Adapter(
        method=str(header["method"]),
        options=dict(header["options"]),
        layout=layout,
        stored=stored,
        shifts=_shifts(references),
        base={key: str(header["base"][key]) for key in ("backbone", "source", "sha256", "version")},
        dtype=str(header["dtype"]),
        elements=tuple(int(z) for z in header["elements"]),
        modality=header["modality"],
    )
    return replace(adapter, metrics=dict(header["metrics"]))


def _check_parts(name: str, parts: Mapping[str, Tensor], layout: Layout) -> None:
    """Raise ValueError if the values of one tensor cannot be those of the layout."""
    if name not in layout.tensor_shapes:
        raise ValueError(f"{name} is not in the layout")
    numel = sum(block.numel for block in layout.of(name))
    for part, tensor in parts.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name}/{part} has values that are not finite")
    if "index" in parts:
        index = parts["index"].to(torch.int64)
        in_order = bool((index[1:] > index[:-1]).all())
        if index.shape != parts["value"].shape or not in_order or (index.numel() and int(index[-1]) >= numel):
            raise ValueError(f"{name}/index does not fit a tensor of {numel} entries")
        if index.numel() and int(index[0]) < 0:
            raise ValueError(f"{name}/index is negative")


def _shifts(references: Mapping[str, Tensor]) -> dict[int, float]:
    """Reference-energy shifts by atomic number."""
    if not references:
        return {}
    numbers, shifts = references["atomic_number"], references["shift"]
    return {int(z): float(value) for z, value in zip(numbers, shifts, strict=True)}
