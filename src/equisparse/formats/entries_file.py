"""Entries of all tensors of an adapter as two strings of bytes and one table, as files of version 4 hold them.

A safetensors file spends more than a hundred bytes on every tensor in it, and a tensor with a few entries is smaller
than that. So the indices of all tensors follow one another in one string, and their values in another.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from equisparse.blocks import Layout
from equisparse.formats import index_coding, value_coding
from equisparse.formats.base import Stored
from equisparse.formats.index_coding import CodedIndices

INDEX = "entries/index"
VALUE = "entries/value"
"""Names of the two strings of bytes in a file."""

_SMALL = 2**16


def index_dtype(numel: int) -> torch.dtype:
    """Type of the indices of a tensor of `numel` entries."""
    return torch.uint16 if numel <= _SMALL else torch.int32


@dataclass(frozen=True)
class _Row:
    """What the table says about one tensor."""

    name: str
    count: int
    coding: int | str
    n_bytes: int
    dtype: str


def encode(stored: Mapping[str, Mapping[str, Tensor]], layout: Layout) -> tuple[dict[str, object], dict[str, Tensor]]:
    """Table for the header, and the two strings of bytes, from the parts of every tensor.

    Raises
    ------
    ValueError
        If indices do not rise or fit, or have no value each.
    """
    rows, indices = [], []
    groups: dict[str, list[Tensor]] = {}
    for number, name in enumerate(layout.tensors):
        if name not in stored or not stored[name]["index"].numel():
            continue
        index, value = stored[name]["index"], stored[name]["value"]
        if index.shape != value.shape:
            raise ValueError(f"not one value for every index of {name}")
        coded = index_coding.encode(index.to(torch.int64).numpy(), layout.size_of(name))
        dtype = _dtype_name(value)
        rows.append([number, len(index), coded.coding, len(coded.contents), dtype])
        indices.append(coded.contents)
        groups.setdefault(dtype, []).append(value)
    sizes, values = _encode_values(groups)
    return {"tensors": rows, "values": sizes}, {INDEX: _as_tensor(b"".join(indices)), VALUE: _as_tensor(values)}


def decode(table: object, tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Stored]:
    """Parts of every tensor from the table and the two strings of bytes: untrusted input.

    Raises
    ------
    KeyError, TypeError, ValueError
        If they are not what `encode` gives for tensors of this layout.
    """
    if set(tensors) != {INDEX, VALUE}:
        raise ValueError("other tensors than those of entries")
    parts = cast(Mapping[str, Any], table)
    rows = list(_rows(parts["tensors"], layout))
    values = _decode_values(parts["values"], _as_bytes(tensors[VALUE]), rows)
    contents, start = _as_bytes(tensors[INDEX]), 0
    stored: dict[str, Stored] = {}
    for row in rows:
        numel = layout.size_of(row.name)
        coded = CodedIndices(row.coding, contents[start : start + row.n_bytes])
        index = torch.from_numpy(index_coding.decode(coded, row.count, numel))
        stored[row.name] = {"index": index.to(index_dtype(numel)), "value": values[row.name]}
        start += row.n_bytes
    if start != len(contents):
        raise ValueError("bytes behind the last index")
    return stored


def _rows(table: Any, layout: Layout) -> Iterator[_Row]:
    """Validated rows of the table, in the order of the layout."""
    names, last = layout.tensors, -1
    for number, count, coding, n_bytes, dtype in table:
        if type(number) is int and number >= len(names):
            raise ValueError("entries of a tensor that is not in the layout")
        whole = all(type(entry) is int for entry in (number, count, n_bytes))
        if not whole or number <= last or min(count, n_bytes) < 1 or dtype not in value_coding.DTYPES:
            raise ValueError("a table of entries that no tensors can have")
        if count > layout.size_of(names[number]):
            raise ValueError("more entries than a tensor has")
        last = number
        yield _Row(names[number], count, coding, n_bytes, dtype)


def _encode_values(groups: Mapping[str, list[Tensor]]) -> tuple[dict[str, list[int]], bytes]:
    """Sizes by type, and the values of all tensors of each type after one another."""
    sizes, contents = {}, b""
    for dtype, values in groups.items():
        sizes[dtype], coded = value_coding.encode(torch.cat(values))
        contents += coded
    return sizes, contents


def _decode_values(sizes: Any, contents: bytes, rows: list[_Row]) -> dict[str, Tensor]:
    """Values by the name of their tensor."""
    if set(sizes) != {row.dtype for row in rows}:
        raise ValueError("other types of values than in the table")
    values: dict[str, Tensor] = {}
    start = 0
    for dtype in sizes:
        of_type = [row for row in rows if row.dtype == dtype]
        counts = [row.count for row in of_type]
        found, taken = value_coding.decode(sizes[dtype], contents[start:], sum(counts), value_coding.DTYPES[dtype])
        values |= {row.name: part.clone() for row, part in zip(of_type, found.split(counts), strict=True)}
        start += taken
    if start != len(contents):
        raise ValueError("bytes behind the last value")
    return values


def _dtype_name(value: Tensor) -> str:
    """Name of a type of numbers in files; ValueError if there is none."""
    name = str(value.dtype).removeprefix("torch.")
    if name not in value_coding.DTYPES:
        raise ValueError(f"values of the type {name}")
    return name


def _as_tensor(contents: bytes) -> Tensor:
    """Bytes as a tensor."""
    return torch.from_numpy(np.frombuffer(contents, dtype=np.uint8).copy())


def _as_bytes(tensor: Tensor) -> bytes:
    """Bytes of a tensor; ValueError unless it is a row of bytes."""
    if tensor.dtype != torch.uint8 or tensor.ndim != 1:
        raise ValueError("no row of bytes")
    return tensor.numpy().tobytes()
