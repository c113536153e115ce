"""Muon: steps of equal size along all singular directions of a weight matrix (Jordan 2024, kellerjordan.github.io)."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from equisparse.methods.matrices import Matrices

_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
"""Of the published Newton-Schulz iteration: it brings all singular values near 1, not to it."""
_ITERATIONS = 5


class Muon(torch.optim.AdamW):
    """Muon for parameters that hold matrices, AdamW for all others.

    The update of a matrix is its orthogonalised Nesterov momentum times ``0.2 sqrt(max(rows, columns))``, which has
    about the root mean square of an AdamW update (Liu et al., arXiv 2502.16982), so both share a learning rate.
    `torch.optim.Muon` takes parameters that are one matrix each and iterates in bfloat16; a tensor of path weights is
    several matrices, one a path, in the precision of the model. Steps have one size however small the momentum is, so a
    matrix without any gradient, such as one that was pruned, stays where it is.

    Parameters
    ----------
    params : iterable
        Parameters or groups, as for AdamW.
    matrices : mapping of Parameter to tuple of Matrices
        Where the matrices of a parameter lie; they tile it. Parameters without an entry are AdamW's.
    momentum : float
        Decay of the momentum.
    **options
        Of AdamW; learning rate and weight decay hold for both.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        matrices: Mapping[nn.Parameter, tuple[Matrices, ...]],
        momentum: float = 0.9,
        **options: Any,
    ) -> None:
        super().__init__(params, **options)
        self._matrices, self._momentum = matrices, momentum

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; the gradients of the parameters that hold matrices are used up."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter in self._matrices and parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(self._direction(parameter, parameter.grad), alpha=-group["lr"])
                    parameter.grad = None
        super().step()
        return loss

    def _direction(self, parameter: nn.Parameter, gradient: Tensor) -> Tensor:
        """Update of a parameter before the learning rate, its shape."""
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)  # AdamW asks for it when it loads a checkpoint
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].mul_(self._momentum).add_(gradient)
        ahead = (gradient + self._momentum * state["momentum"]).reshape(-1)
        present = (gradient != 0).reshape(-1)
        direction = torch.zeros_like(ahead)
        for same in _by_shape(self._matrices[parameter]):
            stacked = torch.cat([matrices.view(ahead) for matrices in same])
            moved = torch.cat([matrices.view(present) for matrices in same]).flatten(1).any(1)[:, None, None]
            updates = 0.2 * max(stacked.shape[1:]) ** 0.5 * moved * orthogonalized(stacked)
            for matrices, update in zip(same, updates.split([each.size[0] for each in same]), strict=True):
                matrices.view(direction).copy_(update)
        return direction.view_as(parameter)


def orthogonalized(matrices: Tensor) -> Tensor:
    """Nearest matrices with singular values near 1, shape (n, rows, columns); zero matrices and zero rows stay zero."""
    wide = matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices
    tiny = torch.finfo(wide.dtype).tiny
    largest = wide.abs().amax((1, 2), keepdim=True)
    wide = wide / largest.clamp_min(tiny)  # or squares of small entries vanish in the norm
    x: Tensor = wide / torch.linalg.matrix_norm(wide, keepdim=True).clamp_min(tiny)
    a, b, c = _POLYNOMIAL
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if matrices.shape[1] > matrices.shape[2] else x


def _by_shape(all_matrices: Iterable[Matrices]) -> Iterable[list[Matrices]]:
    """Matrices of the same shape together."""
    found = defaultdict(list)
    for matrices in all_matrices:
        found[matrices.size[1:]].append(matrices)
    return found.values()
