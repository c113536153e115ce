"""A fine-tune of the smallest base: what it leaves as it was."""

from typing import Any

import torch
from ase import Atoms

import equisparse
from equisparse.backbones.base import AbstractBackbone


def test_a_loaded_base_keeps_its_form_and_its_weights(
    toy: type[AbstractBackbone], frames: list[Atoms], valid: list[Atoms], options: dict[str, Any]
) -> None:
    base = toy.load("toy-1")
    model, before = base.model, {name: value.clone() for name, value in base.model.state_dict().items()}
    run = equisparse.finetune(frames, valid=valid, **options | {"base": base})
    assert run.adapter.stored
    assert base.model is model
    assert not hasattr(model, "accelerated")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    base.check_untouched()
    assert all(parameter.requires_grad for parameter in model.parameters())
