"""Name -> backbone, imported when asked for."""

import importlib
from pathlib import Path

from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.process import importing
from equisparse.backbones.trust import check_sha256, warn_of_pickle
from equisparse.errors import BackboneError, MissingPackageError

_BACKBONES = {
    "sevennet": ("equisparse.backbones.sevennet.backbone", "SevenNetBackbone", "sevenn"),
    "mace": ("equisparse.backbones.mace.backbone", "MACEBackbone", "mace"),
    "nequip": ("equisparse.backbones.nequip.backbone", "NequIPBackbone", "nequip"),
}
"""Name -> module, class, and the upstream's import name."""

_OWN_ENVIRONMENT = " in an environment of its own: it needs e3nn 0.4.4, which SevenNet and NequIP cannot use"

_PREFIXES = (("7net", "sevennet"), ("sevennet", "sevennet"), ("mace-", "mace"), ("nequip.net:", "nequip"))
_SUFFIXES = ((".pth", "sevennet"), (".model", "mace"), (".ckpt", "nequip"), (".nequip.zip", "nequip"))


def load_backbone(
    source: str,
    *,
    backbone: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    modality: str | None = None,
    sha256: str | None = None,
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
    sha256 : str, optional
        What the file's SHA-256 has to begin with; checked before the file is opened.

    Raises
    ------
    BackboneError
        If no backbone fits, the model cannot be loaded, or it is not the pinned one.
    MissingPackageError
        If the upstream package is not installed.
    """
    kind = backbone_class(backbone or guess(source))
    if sha256 is not None:
        check_sha256(kind.locate(source), sha256)
    elif Path(source).is_file():
        warn_of_pickle(Path(source))
    return kind.load(source, device=device, dtype=dtype, modality=modality)


def backbone_class(name: str) -> type[AbstractBackbone]:
    """Class of a backbone by name."""
    if name not in _BACKBONES:
        raise BackboneError("There is no such backbone.", given=name, expected=", ".join(_BACKBONES))
    module, attribute, upstream = _BACKBONES[name]
    try:
        with importing():
            importlib.import_module(upstream)
            found: type[AbstractBackbone] = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise MissingPackageError(
            f"The backbone {name} needs the package {upstream}.",
            cause=str(error),
            next_step=f"pip install 'equisparse[{name}]'{_OWN_ENVIRONMENT if name == 'mace' else ''}",
        ) from error
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
        expected="a name such as 7net-0, mace-mpa-0 or nequip.net:GROUP/MODEL:VERSION, or a file ending in "
        + ", ".join(suffix for suffix, _ in _SUFFIXES),
        next_step="name it with --backbone " + "|".join(_BACKBONES),
    )
