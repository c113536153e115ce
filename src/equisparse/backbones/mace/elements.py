"""A fine-tuned MACE model that knows a part of the elements of its base, as upstream's trainer leaves it by default.

``mace_run_train`` keeps the rows of the elements of its data (`load_foundations_elements` in
``mace.tools.finetuning_utils``). In the tensors that e3nn normalises, the weights are divided by sqrt(n / m), with n
elements in the base and m in the new model, so that both models predict the same.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from equisparse.blocks import Block, Layout

_UNITS = 4
"""Rounding of a weight that was divided and is multiplied again, in units of the last place."""


@torch.no_grad()
def write_known_elements(
    model: nn.Module,
    layout: Layout,
    elements: Sequence[int],
    source: nn.Module,
    source_layout: Layout,
    source_elements: Sequence[int],
) -> bool:
    """Write the weights and buffers of a model of fewer elements into a copy of its base.

    Parameters
    ----------
    model : Module
        The copy, which is changed: weights of other elements stay those of the base.
    layout, elements
        Its path weights, and its atomic numbers in the order of its tensors.
    source, source_layout, source_elements
        The same of the model of fewer elements.

    Returns
    -------
    bool
        False if the two models differ in more than the elements; `model` is then partly written.
    """
    tensors, wanted = ({**dict(one.named_parameters()), **dict(one.named_buffers())} for one in (source, model))
    if tensors.keys() != wanted.keys():
        return False
    slots = torch.tensor([list(elements).index(z) for z in source_elements])
    for name, tensor in wanted.items():
        if tensor.shape == tensors[name].shape:
            tensor.copy_(tensors[name])
        elif pairs := list(zip(layout.of(name), source_layout.of(name), strict=False)):
            for block, own in pairs:
                if not _write_rows(block, tensor, own, tensors[name], slots):
                    return False
    _write_energies(wanted, tensors, slots)
    return True


def _write_rows(block: Block, tensor: Tensor, own: Block, source: Tensor, slots: Tensor) -> bool:
    """Write the rows of the known elements of one block; False if the blocks differ in anything but this axis."""
    axes = [axis for axis, sizes in enumerate(zip(block.shape, own.shape, strict=False)) if sizes[0] != sizes[1]]
    if len(axes) != 1 or own.shape[axes[0]] != len(slots) or (block.path, block.role) != (own.path, own.role):
        return False
    scale = 1.0 if block.role == "contraction" else math.sqrt(block.shape[axes[0]] / len(slots))
    rows = (scale * own.view(source.contiguous()).double()).to(tensor)
    view, slots = block.view(tensor), slots.to(tensor.device)
    present = view.index_select(axes[0], slots)
    untrained = torch.isclose(rows, present, rtol=_UNITS * torch.finfo(tensor.dtype).eps, atol=0.0)
    view.index_copy_(axes[0], slots, torch.where(untrained, present, rows))
    return True


def _write_energies(tensors: Mapping[str, Tensor], source: Mapping[str, Tensor], slots: Tensor) -> None:
    """Write the reference energies of the known elements, one row for each head."""
    name = "atomic_energies_fn.atomic_energies"
    rows, own = torch.atleast_2d(tensors[name]), torch.atleast_2d(source[name])
    if rows.shape != own.shape and len(rows) == len(own):
        rows[:, slots.to(rows.device)] = own.to(rows)
