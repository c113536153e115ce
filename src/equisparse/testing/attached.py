"""Laws of methods attached to a backbone; `equisparse.testing.backbones` has the laws of the backbone alone."""

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
    """Check that a merged native file predicts bitwise the same as the model with the method attached.

    Parameters
    ----------
    backbone : AbstractBackbone
        Backbone in the precision of its file; restored afterwards.
    method : AbstractMethod
        Method; the check changes its parameters from their start values.
    path : Path
        Target of the file, which is not removed.
    frames : sequence of Atoms
        Frames to predict.
    """
    attachment = attach(backbone.model, method, backbone.layout())
    with torch.no_grad():
        for parameter in (p for delta in attachment.deltas.values() for p in delta.parameters()):
            parameter.add_(0.02)
    attached, elements = _settled(backbone, frames), tuple(sorted(backbone.elements))
    adapter = adapter_of(attachment, base=vars(backbone.identity), dtype=backbone.dtype, shifts={}, elements=elements)
    attachment.detach()
    assert write_merged(backbone, adapter, path, frames).equal, "predictions of the native file differ from the adapter"
    precision = str(backbone.dtype).removeprefix("torch.")
    again = type(backbone).load(str(path), dtype=precision, modality=backbone.modality)
    for quantity, merged in _settled(again, frames).items():
        assert torch.equal(merged, attached[quantity]), f"{quantity.name}: merged and attached model differ"
    assert not torch.equal(predict(backbone, frames)[ENERGY], attached[ENERGY]), "nothing changed: an empty check"


def check_gates(backbone: AbstractBackbone, method: AbstractGateMethod, atoms: Atoms, *, improper: bool = True) -> None:
    """Check that gates start as the identity, keep symmetries and gradients for any values, and can be removed.

    Parameters
    ----------
    backbone : AbstractBackbone
        Backbone with nothing attached; restored afterwards.
    method : AbstractGateMethod
    atoms : Atoms
    improper : bool
        As in `check_rotation`.
    """
    before = predict(backbone, [atoms])
    attachment = attach(backbone.model, method, select(backbone.layout(), method.default_targets))
    assert torch.equal(predict(backbone, [atoms])[ENERGY], before[ENERGY]), "gates do not start as the identity"
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
            assert torch.equal(applied, attached[quantity]), f"{quantity.name}: applied and attached gates differ"
    assert torch.equal(predict(backbone, [atoms])[ENERGY], before[ENERGY]), "the base was not restored"


def _settled(backbone: AbstractBackbone, frames: Sequence[Atoms]) -> Prediction:
    """Prediction after TorchScript has optimised the model in its first runs, which changes the last bits."""
    return [predict(backbone, frames) for _ in range(3)][-1]
