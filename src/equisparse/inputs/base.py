"""Base models that are given by name, as files, or loaded."""

from pathlib import Path
from typing import TypeAlias, TypedDict

from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.registry import load_backbone
from equisparse.config.finetune import FinetuneConfig
from equisparse.errors import InputError
from equisparse.options import nearest

Base: TypeAlias = str | Path | AbstractBackbone
"""A base model as a user gives it: its name, its file, or a loaded backbone."""


class LoadOptions(TypedDict, total=False):
    """Options of loading a base that is given by name or file; a loaded backbone ignores them.

    Parameters
    ----------
    backbone : str or None
        Upstream package that the base belongs to; guessed from its name by default.
    device : str
        ``auto`` (default), ``cpu``, ``cuda``, ``cuda:1`` ...
    dtype : str
        ``float32`` (default) or ``float64``.
    modality : str or None
        Task of a multi-task base.
    sha256 : str or None
        Expected SHA-256 of the base file (first 8 or more hex digits); checked before the file is opened.
    """

    backbone: str | None
    device: str
    dtype: str
    modality: str | None
    sha256: str | None


def with_defaults(options: LoadOptions, modality: str | None, dtype: str = "float32") -> LoadOptions:
    """Copy of the options, with a modality and a precision where they are missing."""
    check_load_options(options)
    chosen = options.copy()
    chosen["modality"] = options.get("modality") or modality
    chosen["dtype"] = options.get("dtype") or dtype
    return chosen


def check_load_options(options: LoadOptions) -> None:
    """Check that all names are options of loading a base.

    Raises
    ------
    InputError
        If one is not; the message suggests the option that was meant.
    """
    known = list(LoadOptions.__annotations__)
    for name in options:
        if name not in known:
            near = nearest(name, known)
            raise InputError(
                "There is no option of this name.",
                given=name,
                expected=", ".join(known),
                next_step=f"use {near}" if near else "",
            )


def loaded_base(base: Base, options: LoadOptions | None = None) -> AbstractBackbone:
    """Load a base by its name or from its file; a loaded backbone is returned as it is.

    Raises
    ------
    BackboneError
        If the base cannot be loaded, or has another SHA-256 than expected.
    InputError
        If an option of loading is unknown, or the base is of another type.
    MissingPackageError
        If the upstream package is not installed.
    """
    chosen = options or LoadOptions()
    check_load_options(chosen)
    if isinstance(base, AbstractBackbone):
        return base
    if not isinstance(base, (str, Path)):
        raise InputError(
            "This is no base model.",
            given=f"{base!r:.80}",
            expected="a name such as '7net-0', a file, or what equisparse.load_backbone returns",
        )
    return load_backbone(
        str(base),
        backbone=chosen.get("backbone"),
        device=chosen.get("device", "auto"),
        dtype=chosen.get("dtype", "float32"),
        modality=chosen.get("modality"),
        sha256=chosen.get("sha256"),
    )


def configured_base(config: FinetuneConfig, device: str | None = None) -> AbstractBackbone:
    """Load the base model that a configuration names, on its device or on the given one."""
    return load_backbone(
        config.base,
        backbone=config.backbone,
        device=device or config.device,
        dtype=config.dtype,
        modality=config.modality,
        sha256=config.sha256,
    )
