"""Adapter files: safetensors with a versioned JSON header; reading needs no backbone and executes no code.

Layout (see docs/file-format.md): the stored parts as their format encodes them; ``spin_layer/<name>``; and
``header``, compressed JSON with everything else. The metadata entry ``equisparse`` names the version.
"""

import json
import math
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from equisparse.adapters.adapter import Adapter, SpinPart, TrainedBy
from equisparse.adapters.earlier_versions import FIRST_WITH_COMPACT_PARTS, upgraded
from equisparse.blocks import MOST_WEIGHTS, Layout
from equisparse.errors import AdapterError
from equisparse.files import replacing
from equisparse.formats.compression import compress, expand
from equisparse.formats.registry import FORMATS, make_format

ADAPTER = "adapter.safetensors"
"""Name of the adapter file in the folder of a run."""
FORMAT_VERSION = 4
"""Version that this package writes; older versions are read, newer ones are refused."""
SPIN_VERSION = 2
"""First version that can contain a spin layer."""

_ENTRY = "equisparse"
_HEADER = "header"
_REFERENCE = "reference_energy"
_SPINS = "spin_layer"
_PARTS = "parts"
_LARGEST_HEADER = 16 * 2**20
_DAMAGE = (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError, ArithmeticError, AttributeError)
"""Exceptions that damaged bytes can raise in the reader and in the checks."""
_DTYPES = ("float32", "float64")
_ELEMENTS = range(1, 119)
"""Atomic numbers."""

_Choice = TypeVar("_Choice")


def save_adapter(adapter: Adapter, path: str | Path) -> int:
    """Write an adapter file atomically.

    Raises
    ------
    WriteError
        If the file cannot be written.

    Returns
    -------
    int
        Size of the file in bytes.
    """
    path = Path(path)
    table, tensors = adapter.format.encode(adapter.stored, adapter.layout)
    if adapter.spins is not None:
        tensors |= {f"{_SPINS}/{name}": tensor.contiguous() for name, tensor in adapter.spins.tensors.items()}
    contents = _contents(_header(adapter) | {_PARTS: table}, tensors)
    with replacing(path) as file:
        file.write(contents)
    return len(contents)


def load_adapter(path: str | Path) -> Adapter:
    """Read an adapter file and validate it.

    Raises
    ------
    AdapterError
        If the file is missing, damaged, too new, or not an adapter.
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
            version = _version((file.metadata() or {}).get(_ENTRY, ""), path)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
        header = _parse_header(version, tensors)
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
    """JSON header of an adapter: everything except its tensors."""
    spins = {} if adapter.spins is None else {_SPINS: dict(adapter.spins.options)}
    method = adapter.trained_by
    return spins | {
        "version": FORMAT_VERSION,
        "format": adapter.format.name,
        "format_options": adapter.format.options(),
        "trained_by": None if method is None else {"method": method.method, "options": dict(method.options)},
        "base": dict(adapter.base),
        "dtype": adapter.dtype,
        "elements": list(adapter.elements),
        "modality": adapter.modality,
        "layout": adapter.layout.to_dict(),
        _REFERENCE: {str(z): adapter.shifts[z] for z in sorted(adapter.shifts)},
        "metrics": dict(adapter.metrics),
    }


def _contents(header: Mapping[str, Any], tensors: dict[str, Tensor]) -> bytes:
    """Bytes of a file; the header is compressed where that makes it smaller."""
    text = json.dumps(header, separators=(",", ":"))
    if (compressed := compress(text.encode())) is None:
        return save(tensors, metadata={_ENTRY: text})
    short = {"version": header["version"]}
    in_full = {_HEADER: torch.frombuffer(bytearray(compressed), dtype=torch.uint8)}
    return save(tensors | in_full, metadata={_ENTRY: json.dumps(short, separators=(",", ":"))})


def _version(text: str, path: Path) -> dict[str, Any]:
    """JSON in the metadata of a readable version: the header, or only its version."""
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
        raise ValueError(f"version {version} does not exist")
    return header


def _parse_header(header: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Header of a readable version, as one of the present version; tensors that belong to it are taken out."""
    if (compressed := tensors.pop(_HEADER, None)) is not None:
        version = header["version"]
        header = json.loads(expand(compressed.numpy().tobytes(), _LARGEST_HEADER))
        if version < FIRST_WITH_COMPACT_PARTS or header["version"] != version:
            raise ValueError("a compressed header of another version")
    header = upgraded(header, tensors)
    if header["format"] not in FORMATS:
        raise AdapterError(
            "The adapter has an unknown format.",
            given=f"{header['format']!r:.80}",
            expected=", ".join(FORMATS),
        )
    return header


def _assemble(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Adapter:
    """Adapter from a header and the tensors of a file: untrusted input, every entry is validated."""
    layout = Layout.from_dict(header["layout"])
    stored_format = make_format(header["format"], header["format_options"])
    in_parts = {name: tensor for name, tensor in tensors.items() if not _of_spins(name)}
    spins = {name.rpartition("/")[2]: tensor for name, tensor in tensors.items() if _of_spins(name)}
    stored = stored_format.decode(header[_PARTS], in_parts, layout)
    for name, parts in stored.items():
        if name not in layout.tensor_shapes:
            raise ValueError(f"{name!r:.80} is not in the layout")
        stored_format.check(parts, layout.tensor_shapes[name], layout.of(name))
    return Adapter(
        format=stored_format,
        layout=layout,
        stored=stored,
        shifts=_shifts(header[_REFERENCE]),
        base={key: _text(header["base"][key]) for key in ("backbone", "source", "sha256", "version")},
        dtype=_choice(header["dtype"], _DTYPES),
        elements=tuple(_choice(z, _ELEMENTS) for z in header["elements"]),
        modality=None if header["modality"] is None else _text(header["modality"]),
        metrics=dict(header["metrics"]),
        spins=_spin_part(header, spins),
        trained_by=None if header["trained_by"] is None else _trained_by(header["trained_by"]),
    )


def _of_spins(name: str) -> bool:
    """Whether a tensor of a file belongs to the spin layer."""
    return name.rpartition("/")[0] == _SPINS


def _trained_by(values: Mapping[str, Any]) -> TrainedBy:
    """Name and options of a method, which may be unknown here: they are displayed but not used."""
    options = values["options"]
    if not isinstance(options, dict) or not _is_plain(options):
        raise ValueError("invalid options of a method")
    return TrainedBy(_text(values["method"]), options)


def _is_plain(value: object) -> bool:
    """Return whether all texts in JSON values are printable, without control characters."""
    if isinstance(value, dict):
        return all(_is_plain(key) and _is_plain(part) for key, part in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return not isinstance(value, str) or value.isprintable()


def _spin_part(header: Mapping[str, Any], tensors: dict[str, Tensor]) -> SpinPart | None:
    """Spin layer of a file; None if there is none. The layer itself checks whether its tensors fit its options."""
    if header["version"] < SPIN_VERSION or _SPINS not in header:
        if tensors or _SPINS in header:
            raise ValueError("options and tensors of the spin layer do not belong together")
        return None
    options = header[_SPINS]
    if not isinstance(options, dict) or not all(_text(name) for name in options):
        raise ValueError("invalid options of a spin layer")
    dtypes = {str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()}
    if len(dtypes) != 1 or not dtypes <= set(_DTYPES) or not all(_text(name) for name in tensors):
        raise ValueError("the tensors of the spin layer have different or invalid dtypes or names")
    if sum(tensor.numel() for tensor in tensors.values()) > MOST_WEIGHTS:
        raise ValueError(f"the spin layer has more than {MOST_WEIGHTS} values")
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise ValueError("the spin layer has values that are not finite")
    return SpinPart(dict(options), tensors)


def _text(value: Any) -> str:
    """The same text; ValueError if it is not a text, or contains control characters."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("a name is not printable text")
    return value


def _choice(value: Any, choices: Container[_Choice]) -> _Choice:
    """The same value; ValueError unless it is one of `choices`."""
    if type(value) not in (int, str) or value not in choices:
        raise ValueError(f"{value!r:.80} is not an allowed value")
    choice: _Choice = value
    return choice


def _shifts(references: Mapping[str, float]) -> dict[int, float]:
    """Reference-energy shifts by atomic number."""
    shifts = {_choice(int(z), _ELEMENTS): shift for z, shift in references.items()}
    if len(shifts) != len(references) or not all(type(v) is float and math.isfinite(v) for v in shifts.values()):
        raise ValueError("invalid reference energies")
    return shifts
