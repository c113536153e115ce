"""Device and precision of a backbone, by name."""

import os

import torch

from equisparse.errors import BackboneError

DTYPES = {"float32": torch.float32, "float64": torch.float64}
"""Precisions by name."""


def resolve_device(device: str) -> torch.device:
    """Device of a name.

    Parameters
    ----------
    device : str
        ``cpu``, ``cuda:1`` ..., ``cuda``: the device of this process of a node, or ``auto``: ``cuda`` if there is any.

    Raises
    ------
    BackboneError
        If there is no such device.
    """
    if device in ("auto", "cuda") and torch.cuda.is_available():
        return torch.device("cuda", local_index())
    if device == "auto":
        return torch.device("cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise BackboneError("Invalid device.", given=device, expected="auto, cpu, cuda or cuda:N") from error
    if resolved.type not in ("cpu", "cuda"):
        raise BackboneError("Unknown kind of device.", given=device, expected="auto, cpu, cuda or cuda:N")
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise BackboneError(
            "No CUDA device is available.",
            given=device,
            cause="no GPU, no driver, or a PyTorch without CUDA",
            next_step="use --device cpu or --device auto",
        )
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise BackboneError(
            "There is no such CUDA device.", given=device, expected=f"an index below {torch.cuda.device_count()}"
        )
    return resolved


def local_index() -> int:
    """Index of this process on its node if there is a device for it, else 0; each may see only its own device."""
    text = os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0"))
    return int(text) if text.isdecimal() and int(text) < torch.cuda.device_count() else 0
