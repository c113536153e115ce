"""Gradients as values: computed, summed over pieces of a batch, averaged over processes, added."""

from collections.abc import Sequence

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

Gradients = list[Tensor | None]
"""One gradient per parameter; None where a loss does not depend on it."""


def gradients_of(loss: Tensor, parameters: Sequence[nn.Parameter]) -> Gradients:
    """Gradients of a loss, shape (), by parameters."""
    return list(torch.autograd.grad(loss, parameters, allow_unused=True))


def summed(pieces: Sequence[Gradients]) -> Gradients:
    """Sum of the gradients of the pieces of a batch."""
    if len(pieces) == 1:
        return pieces[0]
    return [_sum([piece[index] for piece in pieces]) for index in range(len(pieces[0]))]


def mean_of_processes(gradients: Gradients, parameters: Sequence[nn.Parameter], trainer: Trainer) -> Gradients:
    """Mean over all processes, in one exchange; None counts as zero where another process has a gradient.

    Every process has to call this with gradients by the same parameters.
    """
    if trainer.world_size == 1:
        return gradients
    filled = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradients, strict=True)]
    present = torch.stack([p.new_tensor(float(g is not None)) for p, g in zip(parameters, gradients, strict=True)])
    flat = torch.cat([present, *(gradient.reshape(-1) for gradient in filled)])
    mean: Tensor = trainer.strategy.reduce(flat, reduce_op="mean")
    present, *parts = mean.split([len(filled), *(gradient.numel() for gradient in filled)])
    return [
        part.view_as(gradient) if there else None
        for part, gradient, there in zip(parts, filled, present.tolist(), strict=True)
    ]


def add_where_trained(parameters: Sequence[nn.Parameter], gradients: Gradients) -> None:
    """Add gradients of what holds a model at its base to those of the loss, where the loss has any.

    A parameter that the data do not reach, such as the embedding of an absent element, stays at the base by itself, and
    methods recognise such parameters by their zero gradient.

    Parameters
    ----------
    parameters : sequence of Parameter
        With the gradients of the loss in place.
    gradients : list of Tensor or None
        To be added.
    """
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if parameter.grad is not None and gradient is not None:
            parameter.grad += gradient * (parameter.grad != 0)


def _sum(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Sum of the gradients of one parameter; None if no piece has one."""
    present = [part for part in parts if part is not None]
    return torch.stack(present).sum(0) if present else None
