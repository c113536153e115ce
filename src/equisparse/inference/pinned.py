"""Pinned memory: a GPU copies it while the program goes on, so a batch need not wait for the step before."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar, cast

import torch
from torch import Tensor

_Batch = TypeVar("_Batch")


def pinned(batch: _Batch, device: torch.device) -> _Batch:
    """Copy of a batch in pinned memory if its device is a GPU, else the batch itself.

    Parameters
    ----------
    batch : Tensor, list, mapping, dataclass, or any object with a method ``pin_memory``
        Parts of other kinds stay as they are.
    device : torch.device
        Where the batch is needed.
    """
    return cast(_Batch, _pinned(batch)) if device.type == "cuda" else batch


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """Tensor on a device, copied to a GPU through pinned memory."""
    return pinned(tensor, device).to(device, non_blocking=True)


def _pinned(part: object) -> object:
    """Copy of a part of a batch in pinned memory."""
    if isinstance(part, Mapping):
        return {name: _pinned(value) for name, value in part.items()}
    if is_dataclass(part) and not isinstance(part, type):
        return replace(part, **{field.name: _pinned(getattr(part, field.name)) for field in fields(part)})
    if isinstance(part, list):
        return [_pinned(value) for value in part]
    return part.pin_memory() if hasattr(part, "pin_memory") else part
