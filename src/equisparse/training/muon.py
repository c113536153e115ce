"""Muon: steps of equal size along all singular directions of a weight matrix (Jordan 2024, kellerjordan.github.io)."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
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
            moving = [each for each in group["params"] if each in self._matrices and each.grad is not None]
            for parameter, direction in zip(moving, self._directions(moving), strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(direction.view_as(parameter), alpha=-group["lr"])
                parameter.grad = None
        super().step()
        return loss

    def _directions(self, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
        """Updates before the learning rate, flattened; matrices of one shape are treated together."""
        gradients = [parameter.grad.reshape(-1) for parameter in parameters if parameter.grad is not None]
        ahead = [self._ahead(*each) for each in zip(parameters, gradients, strict=True)]
        directions = [torch.empty_like(each) for each in ahead]
        for same in _by_shape((number, self._matrices[each]) for number, each in enumerate(parameters)):
            stacked, moved = (torch.cat([at.view(flat[number]) for number, at in same]) for flat in (ahead, gradients))
            updates = 0.2 * max(stacked.shape[1:]) ** 0.5 * orthogonalized(stacked)
            updates *= moved.flatten(1).any(1)[:, None, None]
            for (number, at), update in zip(same, updates.split([at.size[0] for _, at in same]), strict=True):
                at.view(directions[number]).copy_(update)
        return directions

    def _ahead(self, parameter: nn.Parameter, gradient: Tensor) -> Tensor:
        """Nesterov's momentum after a gradient, both flattened."""
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)  # AdamW asks for it when it loads a checkpoint
            state["momentum"] = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
        momentum: Tensor = state["momentum"].view(-1)
        momentum.mul_(self._momentum).add_(gradient)
        return torch.add(gradient, momentum, alpha=self._momentum)


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
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if matrices.shape[1] > matrices.shape[2] else x


def _by_shape(of_parameters: Iterable[tuple[int, Iterable[Matrices]]]) -> Iterable[list[tuple[int, Matrices]]]:
    """Matrices of the same shape together, each with the number of its parameter."""
    found = defaultdict(list)
    for number, all_matrices in of_parameters:
        for matrices in all_matrices:
            found[matrices.size[1:]].append((number, matrices))
    return found.values()
