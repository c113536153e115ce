"""Upstream's accelerators in training: what they are, whether one can be used here, and the check before it is used.

An accelerator computes the edge products of all convolutions and their sums per atom in fused kernels. It takes no part
in what a model stores: weights, names, adapters and merged files are those of the untouched form.
"""

import importlib
import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from ase import Atoms

from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.equivalence import largest_difference
from equisparse.backbones.upstream import quiet_import
from equisparse.errors import BackboneError, MissingPackageError

_log = logging.getLogger(__name__)

TOLERANCE = 1e-6
"""Largest difference in float64, as a fraction of the largest value: some kernels store coefficients in float32."""
OWN_TOLERANCE = 1e-3
"""Largest difference of predictions in the precision of the training, as a fraction of the largest value."""


@dataclass(frozen=True)
class Accelerator:
    """A package of kernels.

    Parameters
    ----------
    title : str
        Name of the package as its authors write it.
    package : str
        Name under which it is imported.
    install : str
        How it is installed.
    """

    title: str
    package: str
    install: str


ACCELERATORS = {
    "oeq": Accelerator("OpenEquivariance", "openequivariance", "pip install openequivariance"),
    "flash": Accelerator(
        "FlashTP", "flashTP_e3nn", "build it from https://github.com/SNU-ARC/flashTP with the CUDA toolkit"
    ),
    "cueq": Accelerator(
        "cuEquivariance",
        "cuequivariance_torch",
        "pip install cuequivariance-torch cuequivariance-ops-torch-cu12, in the versions that the upstream asks for",
    ),
}
"""By name, the fastest first: the order in which ``auto`` tries them."""


def use_accelerator(backbone: AbstractBackbone, choice: str, frames: Sequence[Atoms]) -> str | None:
    """Let the convolutions of a backbone use an accelerator, in place, if a self-check shows that nothing else changes.

    Parameters
    ----------
    backbone : AbstractBackbone
    choice : str
        ``none``, a key of `ACCELERATORS`, or ``auto``: on a GPU the first that is installed and passes the check.
    frames : sequence of Atoms
        A few small frames to check on; without any, no accelerator is used.

    Returns
    -------
    str or None
        Title of the accelerator that is used.

    Raises
    ------
    BackboneError
        If the accelerator of that name cannot be used with this backbone or device, or fails the self-check.
    MissingPackageError
        If its package cannot be imported.
    """
    if choice == "none" or not frames:
        return None
    if choice == "auto":
        return _first_usable(backbone, frames)
    check_usable(backbone, choice)
    attach_checked(backbone, choice, frames)
    return ACCELERATORS[choice].title


def check_usable(backbone: AbstractBackbone, name: str) -> None:
    """Check that an accelerator belongs to the backbone, runs on its device, and can be imported.

    ``auto`` and ``none`` are always usable.

    Raises
    ------
    BackboneError
        If it does not belong to the backbone, or does not run on its device.
    MissingPackageError
        If it cannot be imported.
    """
    if name in ("auto", "none"):
        return
    accelerator, kinds = ACCELERATORS[name], backbone.accelerators
    if name not in kinds:
        raise BackboneError(
            f"{accelerator.title} cannot be used with the backbone {backbone.name} in training.",
            given=f"--accelerator {name}",
            expected=" or ".join([*kinds, "none"]),
        )
    if backbone.device.type not in kinds[name]:
        raise BackboneError(
            f"{accelerator.title} does not run on this device.",
            given=f"--accelerator {name} --device {backbone.device}",
            expected=" or ".join(f"--device {kind}" for kind in kinds[name]),
            next_step="train on a machine with a GPU, or omit --accelerator",
        )
    try:
        with quiet_import():
            importlib.import_module(accelerator.package)
    except (ImportError, OSError) as error:  # OSError: a CUDA library that the package loads is missing
        raise MissingPackageError(
            f"The package of {accelerator.title} cannot be imported.",
            given=f"--accelerator {name}",
            cause=str(error),
            next_step=f"{accelerator.install}; or omit --accelerator",
        ) from error


def attach_checked(backbone: AbstractBackbone, name: str, frames: Sequence[Atoms]) -> None:
    """Attach the kernels of an accelerator, after a self-check on copies of the model.

    Predictions and gradients of all weights are compared in float64, and predictions in the precision of the backbone.

    Raises
    ------
    BackboneError
        If the kernels cannot be attached, or give other numbers.
    """
    title = ACCELERATORS[name].title
    try:
        with _current(backbone.device):
            plain = backbone.in_float64()
            _compare(plain, name, frames, TOLERANCE, gradients=True)
            _compare(backbone, name, frames, OWN_TOLERANCE, gradients=False)
            backbone.attach_kernels(name)
    except BackboneError:
        raise
    except Exception as error:  # compilers, drivers and kernels raise whatever they like
        raise BackboneError(
            f"{title} cannot be used with this model.",
            given=f"--accelerator {name}",
            cause=f"{type(error).__name__}: {next(iter(str(error).splitlines()), 'no message')}",
            next_step="use --accelerator none, or another version of the package",
        ) from error


def _compare(
    backbone: AbstractBackbone, name: str, frames: Sequence[Atoms], tolerance: float, *, gradients: bool
) -> None:
    """Compare a model with a copy that has the kernels."""
    other = backbone.copied()
    other.attach_kernels(name)
    difference = largest_difference(backbone, other, frames, gradients=gradients)
    if not difference <= tolerance:
        raise BackboneError(
            f"{ACCELERATORS[name].title} gives other numbers than the plain form of the model.",
            given=f"differences up to {difference:.1e} of the largest value, in {backbone.dtype}",
            expected=f"at most {tolerance:g}",
            next_step="use --accelerator none, or another version of the package",
        )


def _first_usable(backbone: AbstractBackbone, frames: Sequence[Atoms]) -> str | None:
    """Attach the first accelerator that is installed and passes the check; its title."""
    if backbone.device.type == "cpu":
        return None
    for name, accelerator in ACCELERATORS.items():
        if name not in backbone.accelerators:
            continue
        try:
            check_usable(backbone, name)
            attach_checked(backbone, name, frames)
        except MissingPackageError:
            continue
        except BackboneError as error:
            _log.warning("%s is not used: %s", accelerator.title, " ".join(str(error).split()))
            continue
        return accelerator.title
    return None


def _current(device: torch.device) -> AbstractContextManager[object]:
    """Make a GPU the current one: some kernels are built for that one."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
