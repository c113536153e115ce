"""Sparse changes as (index, value) pairs: how a few changed entries of a tensor are stored and put back."""

from collections.abc import Mapping

import torch
from torch import Tensor

from equisparse.methods.base import Stored

_SMALL = 2**16


def pack(change: Tensor, dtype: torch.dtype | None = None) -> Stored:
    """Index and value of the entries of `change` that are not zero.

    Parameters
    ----------
    change : Tensor
        Any shape; what is added to the base weight.
    dtype : torch.dtype, optional
        Of the stored values; that of `change` by default.

    Returns
    -------
    dict
        ``index``: positions in the flattened tensor, rising, uint16 where the tensor has at most 65,536 entries and
        int32 otherwise; and ``value``.
    """
    flat = change.detach().reshape(-1).cpu()
    index = flat.nonzero().reshape(-1)
    return {"index": index.to(torch.uint16 if flat.numel() <= _SMALL else torch.int32), "value": flat[index].to(dtype)}


def add(weight: Tensor, stored: Mapping[str, Tensor]) -> Tensor:
    """`weight` plus the packed change; untouched entries keep their bits."""
    changed = weight.detach().clone()
    index = stored["index"].to(device=weight.device, dtype=torch.int64)
    changed.view(-1)[index] += stored["value"].to(device=weight.device, dtype=weight.dtype)
    return changed


def check(stored: Mapping[str, Tensor], numel: int) -> None:
    """Raise ValueError unless `add` can put packed changes into a tensor of `numel` entries."""
    index, value = stored["index"].to(torch.int64), stored["value"]
    paired = index.ndim == 1 and index.shape == value.shape and value.is_floating_point()
    if not paired or stored["index"].is_floating_point() or not bool((index[1:] > index[:-1]).all()):
        raise ValueError("indices that do not rise, or that have no value each")
    if index.numel() and not 0 <= int(index[0]) <= int(index[-1]) < numel:
        raise ValueError(f"indices that do not fit a tensor of {numel} entries")


def bytes_per_entry(numel: int, value_bytes: int = 4) -> int:
    """Stored bytes of one changed entry of a tensor of `numel` entries."""
    return value_bytes + (2 if numel <= _SMALL else 4)
