"""A pull of the changed weights towards the base, the same for every method."""

import torch
from torch import Tensor

from equisparse.adapters.attach import Attachment


class Anchor:
    """The penalty ``weight * mean_t |W'_t - W_t|^2 / |W_t|^2`` over the tensors t that may change.

    It is L2-SP (Li, Grandvalet and Davoine, ICML 2018, arXiv 1802.01483) relative to the size of each tensor. It sees
    weights and not a method's parameters. Tensors that are zero in the base do not count.

    Parameters
    ----------
    attachment : Attachment
    weight : float
    """

    def __init__(self, attachment: Attachment, weight: float) -> None:
        self._attachment, self._weight = attachment, weight
        sizes = torch.stack([base.square().sum() for base, _ in attachment.weights()])
        self._sizes = sizes.masked_fill(sizes == 0, float("inf"))

    def penalty(self) -> Tensor:
        """Penalty of the present weights, shape ()."""
        moved = torch.stack([(present - base).square().sum() for base, present in self._attachment.weights()])
        return self._weight * (moved / self._sizes).mean()

    def pull(self) -> None:
        """Add the penalty's gradient to those in place.

        Apart from the backward pass of the loss, because methods read from its gradients which weights the data use.
        """
        parameters = [parameter for delta in self._attachment.deltas.values() for parameter in delta.parameters()]
        gradients = torch.autograd.grad(self.penalty(), parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
