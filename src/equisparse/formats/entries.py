"""Format `entries`: an index and a value for every changed entry of a tensor."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from equisparse.blocks import Block
from equisparse.formats.base import AbstractWeightFormat, Stored

_SMALL = 2**16


@final
@dataclass(frozen=True)
class Entries(AbstractWeightFormat):
    """``W'[index] = W[index] + value`` in the flattened tensor; all other entries keep their bits.

    ``index`` rises; it is uint16 where the tensor has at most 65,536 entries and int32 otherwise. ``value`` is of any
    floating-point type.
    """

    name: ClassVar[str] = "entries"
    parts: ClassVar[tuple[str, ...]] = ("index", "value")

    def check(self, stored: Mapping[str, Tensor], shape: tuple[int, ...], blocks: tuple[Block, ...]) -> None:
        """Raise ValueError unless indices rise, lie in the tensor and have one value each."""
        self.check_parts(stored)
        index, value = stored["index"].to(torch.int64), stored["value"]
        paired = index.ndim == 1 and index.shape == value.shape and value.is_floating_point()
        if not paired or stored["index"].is_floating_point() or not bool((index[1:] > index[:-1]).all()):
            raise ValueError("indices that do not rise, or that have no value each")
        numel = math.prod(shape)
        if index.numel() and not 0 <= int(index[0]) <= int(index[-1]) < numel:
            raise ValueError(f"indices that do not fit a tensor of {numel} entries")

    def apply(self, weight: Tensor, stored: Mapping[str, Tensor], blocks: tuple[Block, ...]) -> Tensor:
        """Base weight with the stored values added at the stored indices."""
        changed = weight.detach().clone()
        index = stored["index"].to(device=weight.device, dtype=torch.int64)
        changed.view(-1)[index] += stored["value"].to(device=weight.device, dtype=weight.dtype)
        return changed


def pack(change: Tensor, dtype: torch.dtype | None = None) -> Stored:
    """Index and value of the entries of `change` that are not zero.

    Parameters
    ----------
    change : Tensor
        What is added to the base weight, any shape.
    dtype : torch.dtype, optional
        Of the stored values; that of `change` by default.

    Returns
    -------
    dict
        The parts of `Entries`.
    """
    flat = change.detach().reshape(-1).cpu()
    index = flat.nonzero().reshape(-1)
    return {"index": index.to(torch.uint16 if flat.numel() <= _SMALL else torch.int32), "value": flat[index].to(dtype)}


def bytes_per_entry(numel: int, value_bytes: int = 4) -> int:
    """Stored bytes of one changed entry of a tensor of `numel` entries."""
    return value_bytes + (2 if numel <= _SMALL else 4)
