"""Name -> backbone, imported when asked for."""

import importlib

from equisparse.backbones.base import AbstractBackbone
from equisparse.errors import BackboneError, MissingPackageError

_BACKBONES = {
    "sevennet": ("equisparse.backbones.sevennet", "SevenNetBackbone", "sevenn"),
    "nequip": ("equisparse.backbones.nequip", "NequIPBackbone", "nequip"),
}
"""Name -> module, class, and the upstream's import name."""

_PREFIXES = (("7net", "sevennet"), ("sevennet", "sevennet"), ("nequip.net:", "nequip"))
_SUFFIXES = ((".pth", "sevennet"), (".ckpt", "nequip"), (".nequip.zip", "nequip"))


def load_backbone(
    source: str,
    *,
    backbone: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    modality: str | None = None,
) -> AbstractBackbone:
    """Load a base model.

    Parameters
    ----------
    source : str
        Name such as ``7net-0``, or a checkpoint file.
    backbone : str, optional
        Which upstream; guessed from `source` if not given.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ...
    dtype : str
        ``float32`` or ``float64``.
    modality : str, optional
        Task of a multi-task model.

    Raises
    ------
    BackboneError
        If no backbone fits or the model cannot be loaded.
    MissingPackageError
        If the upstream package is not installed.
    """
    return backbone_class(backbone or guess(source)).load(source, device=device, dtype=dtype, modality=modality)


def backbone_class(name: str) -> type[AbstractBackbone]:
    """Class of a backbone by name."""
    if name not in _BACKBONES:
        raise BackboneError("There is no such backbone.", given=name, expected=", ".join(_BACKBONES))
    module, attribute, upstream = _BACKBONES[name]
    try:
        importlib.import_module(upstream)
    except ImportError as error:
        raise MissingPackageError(
            f"The backbone {name} needs the package {upstream}.",
            cause=str(error),
            next_step=f"pip install 'equisparse[{name}]'",
        ) from error
    found: type[AbstractBackbone] = getattr(importlib.import_module(module), attribute)
    return found


def guess(source: str) -> str:
    """Backbone that a model name or file name belongs to."""
    lowered = source.lower()
    for prefix, name in _PREFIXES:
        if lowered.startswith(prefix):
            return name
    for suffix, name in _SUFFIXES:
        if lowered.endswith(suffix):
            return name
    raise BackboneError(
        "It cannot be told which backbone this model belongs to.",
        given=source,
        expected="a SevenNet name such as 7net-0, nequip.net:GROUP/MODEL:VERSION, or a file ending in "
        + ", ".join(suffix for suffix, _ in _SUFFIXES),
        next_step="name it with --backbone " + "|".join(_BACKBONES),
    )
