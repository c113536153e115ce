"""A pull of the changed weights towards the base, the same for every method."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from equisparse.adapters.attach import Attachment
from equisparse.errors import InputError


class Anchor:
    """The penalty ``weight * mean_t |W'_t - W_t|^2 / |W_t|^2`` over the tensors t that may change.

    It is L2-SP (Li, Grandvalet and Davoine, ICML 2018, arXiv 1802.01483) relative to the size of each tensor. It sees
    weights and not a method's parameters. Tensors that are zero in the base do not count.

    Parameters
    ----------
    attachment : Attachment
    weight : float

    Raises
    ------
    InputError
        If the attached method changes no weights.
    """

    def __init__(self, attachment: Attachment, weight: float) -> None:
        self._attachment, self._weight = attachment, weight
        if not attachment.method.mergeable:
            raise InputError(
                f"The method {attachment.method.name} changes no weights that an anchor could hold.",
                given=f"--anchor {weight:g}",
                next_step="leave --anchor out, or hold the model back with --replay",
            )
        sizes = torch.stack([base.square().sum() for base, _ in attachment.weights()])
        self._sizes = sizes.masked_fill(sizes == 0, float("inf"))

    def penalty(self) -> Tensor:
        """Penalty of the present weights, shape ()."""
        moved = torch.stack([(present - base).square().sum() for base, present in self._attachment.weights()])
        return self._weight * (moved / self._sizes).mean()


def add_gradient(
    restraint: Tensor, parameters: Sequence[nn.Parameter], mean_of_processes: Callable[[Tensor], Tensor]
) -> None:
    """Add the gradient of what holds a model at its base to that of the loss, where the loss has any.

    A parameter that the data do not reach, such as the embedding of an absent element, stays at the base by itself, and
    methods tell such parameters by their gradient being zero.

    Parameters
    ----------
    restraint : Tensor, shape ()
    parameters : sequence of Parameter
        With the gradients of the loss in place.
    mean_of_processes : callable
        Averages a tensor over all processes.
    """
    gradients = torch.autograd.grad(restraint, parameters, allow_unused=True, materialize_grads=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if parameter.grad is not None:
            parameter.grad += mean_of_processes(gradient) * (parameter.grad != 0)
