"""Laws of a method attached to a backbone, on top of those in `equisparse.testing.backbones`."""

from collections.abc import Sequence
from pathlib import Path

import torch
from ase import Atoms

from equisparse.adapters.adapter import adapter_of
from equisparse.adapters.attach import attach
from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.prediction import Prediction
from equisparse.deploy.merge import write_merged
from equisparse.methods.base import AbstractGateMethod, AbstractMethod
from equisparse.methods.select import select
from equisparse.quantities import ENERGY
from equisparse.testing.backbones import check_forces, check_rotation, check_translation, predict


def check_merged_is_attached(
    backbone: AbstractBackbone, method: AbstractMethod, path: Path, frames: Sequence[Atoms]
) -> None:
    """A merged native file, loaded anew, predicts bitwise what the model predicts with the method attached.

    Parameters
    ----------
    backbone : AbstractBackbone
        In the precision of its file; left as it is.
    method : AbstractMethod
        Its parameters are moved away from their start.
    path : Path
        Where the file is written; it stays.
    frames : sequence of Atoms
        To be predicted.
    """
    attachment = attach(backbone.model, method, backbone.layout())
    with torch.no_grad():
        for parameter in (p for delta in attachment.deltas.values() for p in delta.parameters()):
            parameter.add_(0.02)
    attached, elements = _settled(backbone, frames), tuple(sorted(backbone.elements))
    adapter = adapter_of(attachment, base=vars(backbone.identity), dtype=backbone.dtype, shifts={}, elements=elements)
    attachment.detach()
    assert write_merged(backbone, adapter, path, frames).equal, "the native file does not give what the adapter gives"
    precision = str(backbone.dtype).removeprefix("torch.")
    again = type(backbone).load(str(path), dtype=precision, modality=backbone.modality)
    for quantity, merged in _settled(again, frames).items():
        assert torch.equal(merged, attached[quantity]), f"{quantity.name}: merged is not attached"
    assert not torch.equal(predict(backbone, frames)[ENERGY], attached[ENERGY]), "nothing changed: an empty check"


def check_gates(backbone: AbstractBackbone, method: AbstractGateMethod, atoms: Atoms, *, improper: bool = True) -> None:
    """Gates start as nothing, keep the symmetries and the gradients whatever their values, and go without a trace.

    Parameters
    ----------
    backbone : AbstractBackbone
        With nothing attached; left as it is.
    method : AbstractGateMethod
    atoms : Atoms
    improper : bool
        As in `check_rotation`.
    """
    before = predict(backbone, [atoms])
    attachment = attach(backbone.model, method, select(backbone.layout(), method.default_targets))
    assert torch.equal(predict(backbone, [atoms])[ENERGY], before[ENERGY]), "gates do not start as nothing"
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in (p for gate in attachment.deltas.values() for p in gate.parameters()):
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    attached = _settled(backbone, [atoms])
    assert float((attached[ENERGY] - before[ENERGY]).abs()) > 1e-3, "nothing changed: an empty check"
    check_rotation(backbone, atoms, improper=improper)
    check_translation(backbone, atoms)
    check_forces(backbone, atoms)
    elements = tuple(sorted(backbone.elements))
    adapter = adapter_of(attachment, base=vars(backbone.identity), dtype=backbone.dtype, shifts={}, elements=elements)
    attachment.detach()
    with adapter.applied(backbone.model):
        for quantity, applied in _settled(backbone, [atoms]).items():
            assert torch.equal(applied, attached[quantity]), f"{quantity.name}: applied is not attached"
    assert torch.equal(predict(backbone, [atoms])[ENERGY], before[ENERGY]), "the base was not restored"


def _settled(backbone: AbstractBackbone, frames: Sequence[Atoms]) -> Prediction:
    """Prediction once TorchScript has recorded its first runs and optimised, which changes the last bits."""
    return [predict(backbone, frames) for _ in range(3)][-1]
