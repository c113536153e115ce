"""Muon: steps of equal size along all singular directions of a matrix (Jordan 2024, kellerjordan.github.io)."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from equisparse.methods.matrices import Matrices

_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
"""Coefficients of the published Newton-Schulz iteration, which brings all singular values close to 1."""
_ITERATIONS = 5


class Muon(torch.optim.AdamW):
    """Muon for parameters that hold matrices, AdamW for all others.

    The update of a matrix is its orthogonalised Nesterov momentum times ``0.2 sqrt(max(rows, columns))``, which has
    about the root mean square of an AdamW update (Liu et al., arXiv 2502.16982), so both share a learning rate.
    `torch.optim.Muon` requires parameters that are one matrix each and iterates in bfloat16. Here a tensor of path
    weights is several matrices, one per path, in the precision of the model. The size of a step does not depend on the
    size of the momentum, so a matrix whose gradient is zero, such as a pruned one, is not updated.

    Parameters
    ----------
    params : iterable
        Parameters or groups, as for AdamW.
    matrices : mapping of Parameter to tuple of Matrices
        Positions of the matrices that tile a parameter. AdamW updates the parameters without an entry.
    momentum : float
        Decay of the momentum.
    **options
        Options of AdamW; learning rate and weight decay are used by both.
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
        """Take one step; the gradients of the parameters that hold matrices are set to None."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            moving = [p for p in group["params"] if p in self._matrices and p.grad is not None]
            for parameter, direction in zip(moving, self._directions(moving), strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(direction.view_as(parameter), alpha=-group["lr"])
                parameter.grad = None
        super().step()
        return loss

    def _directions(self, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
        """Flattened updates before the factor of the learning rate; matrices of one shape are processed together."""
        gradients = [parameter.grad.reshape(-1) for parameter in parameters if parameter.grad is not None]
        momenta = [self._momentum_of(*pair) for pair in zip(parameters, gradients, strict=True)]
        directions = [torch.empty_like(momentum) for momentum in momenta]
        for members in _by_shape((index, self._matrices[parameter]) for index, parameter in enumerate(parameters)):
            stacked = torch.cat([matrices.view(momenta[index]) for index, matrices in members])
            gradient = torch.cat([matrices.view(gradients[index]) for index, matrices in members])
            updates = 0.2 * max(stacked.shape[1:]) ** 0.5 * orthogonalized(stacked)
            updates *= gradient.flatten(1).any(1)[:, None, None]
            counts = [matrices.size[0] for _, matrices in members]
            for (index, matrices), update in zip(members, updates.split(counts), strict=True):
                matrices.view(directions[index]).copy_(update)
        return directions

    def _momentum_of(self, parameter: nn.Parameter, gradient: Tensor) -> Tensor:
        """Nesterov momentum after a gradient, both flattened."""
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)  # AdamW expects it when it loads a checkpoint
            state["momentum"] = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
        momentum: Tensor = state["momentum"].view(-1)
        momentum.mul_(self._momentum).add_(gradient)
        return torch.add(gradient, momentum, alpha=self._momentum)


def orthogonalized(matrices: Tensor) -> Tensor:
    """Nearest matrices with singular values near 1, shape (n, rows, columns); zero matrices and zero rows stay zero."""
    wide = matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices
    tiny = torch.finfo(wide.dtype).tiny
    largest = wide.abs().amax((1, 2), keepdim=True)
    wide = wide / largest.clamp_min(tiny)  # otherwise squares of small entries underflow in the norm
    x: Tensor = wide / torch.linalg.matrix_norm(wide, keepdim=True).clamp_min(tiny)
    a, b, c = _POLYNOMIAL
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if matrices.shape[1] > matrices.shape[2] else x


def _by_shape(parameters: Iterable[tuple[int, Iterable[Matrices]]]) -> Iterable[list[tuple[int, Matrices]]]:
    """Groups of matrices of equal shape, each with the index of its parameter."""
    groups = defaultdict(list)
    for index, all_matrices in parameters:
        for matrices in all_matrices:
            groups[matrices.size[1:]].append((index, matrices))
    return groups.values()
