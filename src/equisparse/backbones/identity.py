"""Identity of a base model: where it comes from, and a fingerprint of its weights."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class BaseId:
    """Identity of the base model that an adapter belongs to.

    Parameters
    ----------
    backbone : str
        Name in `equisparse.backbones.registry`.
    source : str
        Model name, or file name without its folder, as the user gave it.
    sha256 : str
        `fingerprint` of the parameters, in the precision in which they are stored.
    version : str
        Version of the upstream package.
    """

    backbone: str
    source: str
    sha256: str
    version: str


def fingerprint(parameters: Mapping[str, Tensor]) -> str:
    """SHA-256 of the names, shapes, types and bytes of parameters, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(parameters):
        tensor = parameters[name].detach().cpu().contiguous()
        digest.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
