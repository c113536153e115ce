"""Functions on gradients: compute them, sum them over pieces of a batch, average them over processes, add them."""

from collections.abc import Sequence

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

Gradients = list[Tensor | None]
"""One gradient per parameter; None if the loss does not depend on the parameter."""


def gradients_of(loss: Tensor, parameters: Sequence[nn.Parameter]) -> Gradients:
    """Gradients of a loss, shape (), with respect to parameters."""
    return list(torch.autograd.grad(loss, parameters, allow_unused=True))


def summed(pieces: Sequence[Gradients], n_parameters: int) -> Gradients:
    """Sum of the gradients of the pieces of a batch; a batch without frames has no gradients."""
    if len(pieces) == 1:
        return pieces[0]
    return [_sum([piece[index] for piece in pieces]) for index in range(n_parameters)]


def mean_of_processes(gradients: Gradients, parameters: Sequence[nn.Parameter], trainer: Trainer) -> Gradients:
    """Average gradients over all processes; None counts as zero if another process has a gradient.

    Every process has to call this function with gradients of the same parameters.
    """
    if trainer.world_size == 1:
        return gradients
    filled = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradients, strict=True)]
    present = torch.stack([p.new_tensor(float(g is not None)) for p, g in zip(parameters, gradients, strict=True)])
    flat = torch.cat([present, *(gradient.reshape(-1) for gradient in filled)])
    averaged: Tensor = trainer.strategy.reduce(flat, reduce_op="mean")
    present, *means = averaged.split([len(filled), *(gradient.numel() for gradient in filled)])
    return [
        mean.view_as(gradient) if is_present else None
        for mean, gradient, is_present in zip(means, filled, present.tolist(), strict=True)
    ]


def add_where_trained(parameters: Sequence[nn.Parameter], gradients: Gradients) -> None:
    """Add gradients of penalties to those of the loss, except where the gradient of the loss is zero.

    A parameter that the data do not affect, such as the embedding of an absent element, stays at the base by itself.
    Methods recognise such parameters by their zero gradient.

    Parameters
    ----------
    parameters : sequence of Parameter
        Parameters whose ``grad`` holds the gradients of the loss; it is modified.
    gradients : list of Tensor or None
        Gradients of the penalty.
    """
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if parameter.grad is not None and gradient is not None:
            parameter.grad += gradient * (parameter.grad != 0)


def _sum(gradients: Sequence[Tensor | None]) -> Tensor | None:
    """Sum of the gradients of one parameter; None if no piece has one."""
    present = [gradient for gradient in gradients if gradient is not None]
    return torch.stack(present).sum(0) if present else None
