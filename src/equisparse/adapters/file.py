"""Adapter files: safetensors with a versioned JSON header. Reading needs no backbone and no method, and runs no code.

Layout (see docs/file-format.md): tensors ``<parameter>/<part>``, for example ``<parameter>/index`` and
``<parameter>/value``; ``reference_energy/atomic_number`` and ``reference_energy/shift`` (eV); ``spin_layer/<name>``;
and one metadata entry ``equisparse`` with everything else as JSON.
"""

import json
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from equisparse.adapters.adapter import Adapter, SpinPart, TrainedBy
from equisparse.adapters.earlier_versions import upgraded
from equisparse.blocks import MOST_WEIGHTS, Layout
from equisparse.errors import AdapterError
from equisparse.files import replacing
from equisparse.formats.registry import FORMATS, make_format

ADAPTER = "adapter.safetensors"
"""Name of the adapter in the folder of a run."""
FORMAT_VERSION = 3
"""Version that this package writes; older ones are read, newer ones refused."""
SPIN_VERSION = 2
"""First version that can hold a spin layer."""

_ENTRY = "equisparse"
_REFERENCE = "reference_energy"
_SPINS = "spin_layer"
_LARGEST_HEADER = 16 * 2**20
_DAMAGE = (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError, ArithmeticError, AttributeError)
"""Exceptions that damaged bytes can raise in the reader and in the checks."""
_DTYPES = ("float32", "float64")
_ELEMENTS = range(1, 119)
"""Atomic numbers."""

_Choice = TypeVar("_Choice")


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
            "There is no such adapter file.",
            given=str(path),
            expected="a file such as run/adapter.safetensors",
            cause="a folder in place of the file" if path.is_dir() else "a misspelt name, or another working directory",
            next_step=f"give {path / 'adapter.safetensors'}" if path.is_dir() else "correct the path",
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            text = (file.metadata() or {}).get(_ENTRY, "")
            header = _parse_header(text, path)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
        return _assemble(header, tensors)
    except AdapterError:
        raise
    except _DAMAGE as error:
        raise AdapterError(
            "The adapter file is damaged, or it is no adapter file.",
            given=str(path),
            expected=f"an adapter file of version {FORMAT_VERSION} or earlier, such as run/adapter.safetensors",
            cause=f"{type(error).__name__}: {str(error)[:200]}",
            next_step="check the path; if it is right, copy the file again, or run the fine-tune again with --resume",
        ) from error


def _header(adapter: Adapter) -> dict[str, Any]:
    """JSON header of an adapter: everything but its tensors."""
    spins = {} if adapter.spins is None else {_SPINS: dict(adapter.spins.options)}
    trained = adapter.trained_by
    return spins | {
        "version": FORMAT_VERSION,
        "format": adapter.format.name,
        "format_options": adapter.format.options(),
        "trained_by": None if trained is None else {"method": trained.method, "options": dict(trained.options)},
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
    if adapter.spins is not None:
        tensors |= {f"{_SPINS}/{name}": tensor.contiguous() for name, tensor in adapter.spins.tensors.items()}
    return tensors


def _parse_header(text: str, path: Path) -> dict[str, Any]:
    """JSON header of a readable version, as one of the present version."""
    if not text or len(text) > _LARGEST_HEADER:
        raise AdapterError(
            "This safetensors file is not an equisparse adapter.", given=str(path), cause="a file of another program"
        )
    header: dict[str, Any] = json.loads(text)
    version = header["version"]
    if type(version) is not int or version > FORMAT_VERSION:
        raise AdapterError(
            "The adapter was written by a newer equisparse.",
            given=f"file version {version!r:.20}",
            expected=f"at most {FORMAT_VERSION}",
            next_step="pip install --upgrade equisparse",
        )
    if version < 1:
        raise ValueError("there is no such version")
    header = upgraded(header)
    if header["format"] not in FORMATS:
        raise AdapterError(
            "The adapter has a format that is not known here.",
            given=f"{header['format']!r:.80}",
            expected=", ".join(FORMATS),
        )
    return header


def _assemble(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Adapter:
    """Adapter of a header and the file's tensors: untrusted input, every entry is validated."""
    layout = Layout.from_dict(header["layout"])
    stored_format = make_format(header["format"], header["format_options"])
    stored: dict[str, dict[str, Tensor]] = {}
    references: dict[str, Tensor] = {}
    spins: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        name, _, part = key.rpartition("/")
        known = {_REFERENCE: references, _SPINS: spins}.get(name)
        (stored.setdefault(name, {}) if known is None else known)[part] = tensor
    for name, parts in stored.items():
        if name not in layout.tensor_shapes:
            raise ValueError(f"{name!r:.80} is not in the layout")
        stored_format.check(parts, layout.tensor_shapes[name], layout.of(name))
    return Adapter(
        format=stored_format,
        layout=layout,
        stored=stored,
        shifts=_shifts(references),
        base={key: _text(header["base"][key]) for key in ("backbone", "source", "sha256", "version")},
        dtype=_choice(header["dtype"], _DTYPES),
        elements=tuple(_choice(z, _ELEMENTS) for z in header["elements"]),
        modality=None if header["modality"] is None else _text(header["modality"]),
        metrics=dict(header["metrics"]),
        spins=_spin_part(header, spins),
        trained_by=None if header["trained_by"] is None else _trained_by(header["trained_by"]),
    )


def _trained_by(values: Mapping[str, Any]) -> TrainedBy:
    """Name and options of a method, which need not be known here: they are shown and not used."""
    options = values["options"]
    if not isinstance(options, dict) or not _is_plain(options):
        raise ValueError("invalid options of a method")
    return TrainedBy(_text(values["method"]), options)


def _is_plain(value: object) -> bool:
    """Whether no text in JSON values has characters that control a terminal."""
    if isinstance(value, dict):
        return all(_is_plain(key) and _is_plain(part) for key, part in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return not isinstance(value, str) or value.isprintable()


def _spin_part(header: Mapping[str, Any], tensors: dict[str, Tensor]) -> SpinPart | None:
    """The spin layer of a file; None if there is none. The layer itself checks whether the tensors fit the options."""
    if header["version"] < SPIN_VERSION or _SPINS not in header:
        if tensors or _SPINS in header:
            raise ValueError("a spin layer in a file that has none")
        return None
    options = header[_SPINS]
    if not isinstance(options, dict) or not all(_text(name) for name in options):
        raise ValueError("invalid options of a spin layer")
    dtypes = {str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()}
    if len(dtypes) != 1 or not dtypes <= set(_DTYPES) or not all(_text(name) for name in tensors):
        raise ValueError("a spin layer of several or of other types of numbers")
    if sum(tensor.numel() for tensor in tensors.values()) > MOST_WEIGHTS:
        raise ValueError(f"a spin layer of more than {MOST_WEIGHTS} values")
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise ValueError("a spin layer that is not finite")
    return SpinPart(dict(options), tensors)


def _text(value: Any) -> str:
    """The same text; ValueError if it is not a text, or has characters that control a terminal."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("a name that cannot be printed")
    return value


def _choice(value: Any, choices: Container[_Choice]) -> _Choice:
    """The same value; ValueError unless it is one of `choices`."""
    if type(value) not in (int, str) or value not in choices:
        raise ValueError(f"{value!r:.80} where that has no meaning")
    found: _Choice = value
    return found


def _shifts(references: Mapping[str, Tensor]) -> dict[int, float]:
    """Reference-energy shifts by atomic number."""
    if not references:
        return {}
    numbers, shifts = references["atomic_number"].tolist(), references["shift"].to(torch.float64)
    if len(references) != 2 or len(set(numbers)) != len(numbers) or not bool(shifts.isfinite().all()):
        raise ValueError("reference energies that are no numbers, or several of one element")
    return {_choice(z, _ELEMENTS): float(value) for z, value in zip(numbers, shifts.tolist(), strict=True)}
