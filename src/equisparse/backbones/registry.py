"""Backbones by name, imported when they are asked for.

A backbone of another package is registered with `register_backbone`, or found by an entry point of that package::

    [project.entry-points."equisparse.backbones"]
    toy = "toy_package.backbone:ToyBackbone"

The class says with `AbstractBackbone.prefixes` and `AbstractBackbone.suffixes` which models belong to it.
"""

import importlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.device import DTYPES
from equisparse.backbones.pickles import check_sha256, warn_of_pickle
from equisparse.backbones.upstream import quiet_import
from equisparse.errors import BackboneError, InputError, MissingPackageError
from equisparse.options import nearest

ENTRY_POINTS = "equisparse.backbones"
"""Group of entry points; the name of an entry point is the name of the backbone, its value ``module:Class``."""


@dataclass(frozen=True)
class _Registered:
    """A backbone, imported or not.

    Parameters
    ----------
    target : type or str
        The class, or ``module:Class``.
    prefixes, suffixes : tuple of str
        Beginnings of model names and endings of files that belong to it, in lower case.
    upstream : str
        Import name of the upstream package; empty if importing the class shows what is missing.
    note : str
        Addition to the advice to install the upstream.
    """

    target: type[AbstractBackbone] | str
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    upstream: str = ""
    note: str = ""


_OWN_ENVIRONMENT = " in an environment of its own: it needs e3nn 0.4.4, which SevenNet and NequIP cannot use"

_BACKBONES = {
    "sevennet": _Registered(
        "equisparse.backbones.sevennet.backbone:SevenNetBackbone", ("7net", "sevennet"), (".pth",), "sevenn"
    ),
    "mace": _Registered(
        "equisparse.backbones.mace.backbone:MACEBackbone", ("mace-",), (".model",), "mace", _OWN_ENVIRONMENT
    ),
    "nequip": _Registered(
        "equisparse.backbones.nequip.backbone:NequIPBackbone",
        ("nequip.net:",),
        (".ckpt", ".nequip.zip"),
        "nequip",
    ),
}


def register_backbone(
    name: str,
    backbone: type[AbstractBackbone] | str,
    *,
    prefixes: tuple[str, ...] = (),
    suffixes: tuple[str, ...] = (),
) -> None:
    """Make a backbone known by name, to `load_backbone` and to every task.

    Parameters
    ----------
    name : str
        Name of the backbone, as in ``backbone="toy"``.
    backbone : type or str
        Subclass of `AbstractBackbone`, or ``module:Class``, which is imported when it is first used.
    prefixes, suffixes : tuple of str
        Beginnings of model names and endings of files that belong to this backbone.

    Raises
    ------
    InputError
        If the name belongs to another backbone.
    """
    known = _BACKBONES.get(name)
    if known is not None and known.target != backbone:
        raise InputError("There is a backbone of this name.", given=name, next_step="choose another name")
    lowered = [tuple(text.lower() for text in texts) for texts in (prefixes, suffixes)]
    _BACKBONES[name] = _Registered(backbone, lowered[0], lowered[1])


def load_backbone(
    source: str | Path,
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
    source : str or Path
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
        Expected SHA-256 of the base file (first 8 or more hex digits); checked before the file is opened.

    Raises
    ------
    BackboneError
        If the backbone cannot be inferred, the model cannot be loaded, or its SHA-256 is another one.
    MissingPackageError
        If the upstream package is not installed.
    """
    source, device = str(source), str(device)
    if dtype not in DTYPES:
        raise BackboneError("There is no such precision.", given=str(dtype), expected=" or ".join(DTYPES))
    kind = backbone_class(backbone or guess(source))
    if sha256 is not None:
        check_sha256(kind.locate(source), sha256)
    elif kind.runs_code and Path(source).is_file():
        warn_of_pickle(Path(source))
    loaded = kind.load(source, device=device, dtype=dtype, modality=modality)
    loaded.source = source
    return loaded


def backbone_class(name: str) -> type[AbstractBackbone]:
    """Class of a backbone by name.

    Raises
    ------
    BackboneError
        If there is no such backbone.
    MissingPackageError
        If it cannot be imported.
    """
    known = _known_backbones()
    if name not in known:
        near = nearest(name.lower(), list(known))
        raise BackboneError(
            "There is no such backbone.",
            given=name,
            expected=", ".join(known),
            next_step=f"use {near}" if near else "",
        )
    registered = known[name]
    if isinstance(registered.target, type):
        return registered.target
    module, _, attribute = registered.target.partition(":")
    try:
        with quiet_import():
            importlib.import_module(registered.upstream or module)
            cls: type[AbstractBackbone] = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise _not_importable(name, registered, error) from error
    return cls


def guess(source: str) -> str:
    """Backbone that a model name or file name belongs to.

    Raises
    ------
    BackboneError
        If it belongs to none, or the name does not say to which.
    """
    lowered, known = source.lower(), _known_backbones()
    for name, registered in known.items():
        if lowered.startswith(registered.prefixes):
            return name
    for name, registered in known.items():
        if lowered.endswith(registered.suffixes):
            return name
    offered = _importable(name for name in known if name not in _BACKBONES)
    for name, cls in offered.items():
        if lowered.startswith(cls.prefixes) or lowered.endswith(cls.suffixes):
            return name
    suffixes = [suffix for registered in known.values() for suffix in registered.suffixes]
    suffixes += [suffix for cls in offered.values() for suffix in cls.suffixes]
    raise BackboneError(
        "The backbone of this model cannot be inferred from its name.",
        given=source,
        expected="a name such as 7net-0, mace-mpa-0 or nequip.net:GROUP/MODEL:VERSION, or a file ending in "
        + ", ".join(suffixes),
        cause="a misspelt name, or a run folder or an adapter in place of a base model",
        next_step="correct the name; for a model file with another ending, add --backbone " + "|".join(known),
    )


def _known_backbones() -> dict[str, _Registered]:
    """Registered backbones, and those of entry points that have another name."""
    offered = {point.name: _Registered(point.value) for point in metadata.entry_points(group=ENTRY_POINTS)}
    return _BACKBONES | {name: backbone for name, backbone in offered.items() if name not in _BACKBONES}


def _importable(names: Iterable[str]) -> dict[str, type[AbstractBackbone]]:
    """Classes of backbones by name, less those that cannot be imported or are no backbones."""
    found: dict[str, type[AbstractBackbone]] = {}
    for name in names:
        with suppress(MissingPackageError):
            cls = backbone_class(name)
            if issubclass(cls, AbstractBackbone):
                found[name] = cls
    return found


def _not_importable(name: str, registered: _Registered, error: ImportError) -> MissingPackageError:
    """The error for a backbone whose package is missing."""
    if not registered.upstream:
        return MissingPackageError(
            f"The backbone {name} cannot be imported.",
            given=str(registered.target),
            cause=str(error),
            next_step="install the package that the backbone needs",
        )
    return MissingPackageError(
        f"The backbone {name} needs the package {registered.upstream}.",
        cause=str(error),
        next_step=f"pip install 'equisparse[{name}]'{registered.note}",
    )
