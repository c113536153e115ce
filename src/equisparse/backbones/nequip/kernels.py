"""Kernels of NequIP's accelerator in the convolutions of a model that stays as it is otherwise."""

from nequip.model.modify_utils import modify
from torch import nn

from equisparse.backbones.nequip.global_state import nequip_state


def attach_kernels(model: nn.Module) -> None:
    """Let all convolutions of a model use OpenEquivariance, by upstream's own modifier, which keeps the state."""
    device = next(model.parameters()).device
    with nequip_state():
        modify(model, [{"modifier": "enable_OpenEquivariance"}])
    model.to(device)
