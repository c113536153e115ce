"""Format `entries`: an index and a value for every changed entry of a tensor."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from equisparse.blocks import Block, Layout
from equisparse.formats import entries_file
from equisparse.formats.base import AbstractWeightFormat, Stored
from equisparse.formats.index_coding import most_entries

_MOST_ROUNDING = 5e-4
"""As a fraction of the norm: that of normal float16 numbers, 2^-11, and not that of very small or large ones."""
_TABLE_ROW = len('[123,12345678,"bitmap",12345678,"bfloat16"],')
_FILE_PARTS = 400
"""Bytes of the directory and the table that do not depend on the number of tensors."""


@final
@dataclass(frozen=True)
class Entries(AbstractWeightFormat):
    """Changed entries ``W'[index] = W[index] + value`` of the flattened tensor; other entries stay bitwise the same.

    ``index`` is strictly increasing; it is uint16 if the tensor has at most 65,536 entries, and int32 otherwise.
    ``value`` has any floating-point dtype.
    """

    name: ClassVar[str] = "entries"
    parts: ClassVar[tuple[str, ...]] = ("index", "value")

    def check(self, stored: Mapping[str, Tensor], shape: tuple[int, ...], blocks: tuple[Block, ...]) -> None:
        """Raise ValueError unless indices increase, are within the tensor, and have one value each."""
        self.check_parts(stored)
        index, value = stored["index"].to(torch.int64), stored["value"]
        paired = index.ndim == 1 and index.shape == value.shape and value.is_floating_point()
        if not paired or stored["index"].is_floating_point() or not bool((index[1:] > index[:-1]).all()):
            raise ValueError("the indices do not increase, or do not have one value each")
        numel = math.prod(shape)
        if index.numel() and not 0 <= int(index[0]) <= int(index[-1]) < numel:
            raise ValueError(f"indices are outside of a tensor of {numel} entries")

    def encode(self, stored: Mapping[str, Mapping[str, Tensor]], layout: Layout) -> tuple[object, dict[str, Tensor]]:
        """All indices and all values as two strings of bytes: see `equisparse.formats.entries_file`."""
        return entries_file.encode(stored, layout)

    def decode(self, table: object, tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Stored]:
        """Parts from two strings of bytes, or, without a table, from tensors as files before version 4 had them."""
        return super().decode(None, tensors, layout) if table is None else entries_file.decode(table, tensors, layout)

    def file_overhead(self, layout: Layout) -> int:
        """A row of the table for every tensor."""
        return _FILE_PARTS + _TABLE_ROW * len(layout.tensors)

    def apply(self, weight: Tensor, stored: Mapping[str, Tensor], blocks: tuple[Block, ...]) -> Tensor:
        """Base weight with the stored values added at the stored indices."""
        changed = weight.detach().clone()
        index = stored["index"].to(device=weight.device, dtype=torch.int64)
        changed.view(-1)[index] += stored["value"].to(device=weight.device, dtype=weight.dtype)
        return changed


def pack(change: Tensor, dtype: torch.dtype | None = None) -> Stored:
    """Store the nonzero entries of a change.

    Parameters
    ----------
    change : Tensor
        Change of the base weight, any shape.
    dtype : torch.dtype, optional
        Precision of the stored values; that of `change` by default.

    Returns
    -------
    dict
        Parts of the format `Entries`.
    """
    flat = change.detach().reshape(-1).cpu()
    index = flat.nonzero().reshape(-1)
    return {"index": index.to(entries_file.index_dtype(flat.numel())), "value": flat[index].to(dtype)}


def compact_dtype(change: Tensor) -> torch.dtype:
    """float16 if rounding to it alters a change by at most 0.05 % of its norm; otherwise the type of the change."""
    exact = change.double()
    rounding = (change.half().double() - exact).norm()
    return torch.float16 if bool(rounding <= _MOST_ROUNDING * exact.norm()) else change.dtype


def entries_in(value_bytes: int, layout: Layout, dtype: torch.dtype) -> int:
    """Number of entries of the tensors of `layout` that `value_bytes` bytes hold, wherever the entries are.

    Parameters
    ----------
    value_bytes : int
        Bytes of all indices and values in a file.
    layout : Layout
        Selected tensors.
    dtype : torch.dtype
        Of the values.
    """
    return most_entries(value_bytes, [layout.size_of(name) for name in layout.tensors], dtype.itemsize)
