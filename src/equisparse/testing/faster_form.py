"""Laws of the faster form of a backbone and of its accelerators: nothing that a user can see changes.

The checks raise AssertionError if a law is violated.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from ase import Atoms
from torch import Tensor, nn

from equisparse.adapters.attach import attach
from equisparse.backbones.accelerators import TOLERANCE, attach_checked
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.e3nn.compiled import compile_convolutions
from equisparse.backbones.equivalence import equivalent, largest_difference
from equisparse.backbones.registry import load_backbone
from equisparse.methods.base import AbstractMethod
from equisparse.quantities import ENERGY, FORCES


def check_faster_form(plain: AbstractBackbone, fast: AbstractBackbone, frames: Sequence[Atoms], folder: Path) -> None:
    """Check that a model in its faster form has equal predictions, gradients, names, layout and native file.

    Parameters
    ----------
    plain, fast : AbstractBackbone
        The same base twice, in float64; the second one is accelerated here.
    frames : sequence of Atoms
    folder : Path
        Folder for two native files.
    """
    assert fast.accelerate(frames[:1]), "no faster form, or it failed its self-check"
    assert equivalent(plain, fast, frames)
    _check_files(plain, fast, folder)


def check_compiled(plain: AbstractBackbone, fast: AbstractBackbone, frames: Sequence[Atoms], count: int) -> None:
    """Check that a model with compiled convolutions has equal predictions and gradients; it needs a C++ compiler.

    Parameters
    ----------
    plain, fast : AbstractBackbone
        The same base twice, in float64; the second one is in its faster form and is compiled here.
    frames : sequence of Atoms
    count : int
        Number of convolutions that are compiled.
    """
    assert compile_convolutions(fast.model) == count
    assert equivalent(plain, fast, frames)


def check_accelerator(
    plain: AbstractBackbone, fast: AbstractBackbone, name: str, frames: Sequence[Atoms], folder: Path
) -> None:
    """Check that a model with an accelerator has equal predictions, gradients, names, layout and native file.

    The tolerance is that of the self-check before an accelerator is used.

    Parameters
    ----------
    plain, fast : AbstractBackbone
        The same base twice, in float64; the second one is accelerated here.
    name : str
        A key of `AbstractBackbone.accelerators`.
    frames : sequence of Atoms
    folder : Path
        Folder for two native files.
    """
    attach_checked(fast, name, frames[:1])
    assert largest_difference(plain, fast, frames) <= TOLERANCE
    _check_files(plain, fast, folder)


def _check_files(plain: AbstractBackbone, fast: AbstractBackbone, folder: Path) -> None:
    """Check that the names of the state, the layout, and the weights in native files are equal."""
    assert list(fast.model.state_dict()) == list(plain.model.state_dict())
    assert fast.layout() == plain.layout()
    written = []
    for name, backbone in (("plain", plain), ("fast", fast)):
        path = folder / f"{name}{backbone.native_suffix}"
        backbone.save_native(path, {})
        written.append(load_backbone(str(path), dtype="float64", modality=backbone.modality).loaded)
    assert written[0] == written[1] == plain.loaded


def check_training(
    plain: AbstractBackbone, fast: AbstractBackbone, frames: Sequence[Atoms], method: AbstractMethod
) -> None:
    """Check that what a method trains has equal gradients on a model and on its faster form, both in float64."""
    expected, found = (_gradients(backbone, frames, method) for backbone in (plain, fast))
    assert expected.keys() == found.keys() != set()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-9, atol=1e-12)


def _gradients(backbone: AbstractBackbone, frames: Sequence[Atoms], method: AbstractMethod) -> dict[str, Tensor]:
    """Gradients of what a method trains, by name, of a loss with forces."""
    attachment = attach(backbone.model, method, backbone.layout())
    prediction = backbone.predict(backbone.collate([backbone.graph(atoms) for atoms in frames]), training=True)
    (prediction[ENERGY].square().sum() + prediction[FORCES].square().sum()).backward()
    trained = nn.ModuleList(attachment.deltas.values()).named_parameters()
    gradients = {name: value.grad for name, value in trained if value.grad is not None}
    attachment.detach()
    backbone.model.zero_grad()
    return gradients
