"""Muon: steps of equal size along all singular directions of a matrix (Jordan 2024, kellerjordan.github.io)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from equisparse.methods.matrices import Matrices
from equisparse.training.padded import PaddedMatrices

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

    Whatever the number of parameters, an operation is one call for all of them, or one for each of a few batches of
    matrices: on a GPU, the calls take longer than the work.

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
        self._places: dict[tuple[int, ...], PaddedMatrices] = {}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; the gradients of the parameters that hold matrices are set to None."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            moving = [p for p in group["params"] if p in self._matrices and p.grad is not None]
            if moving:
                directions = self._directions(moving)
                torch._foreach_mul_(moving, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(moving, directions, alpha=-group["lr"])
            for parameter in moving:
                parameter.grad = None
        super().step()
        return loss

    def _directions(self, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
        """Updates before the factor of the learning rate."""
        gradients = [parameter.grad.reshape(-1) for parameter in parameters if parameter.grad is not None]
        places = self._padded(parameters)
        momenta = places.batches(self._momenta_after(parameters, gradients))
        updates = []
        for momentum, gradient, columns in zip(momenta, places.batches(gradients), places.columns, strict=True):
            size = 0.2 * columns.sqrt() * gradient.flatten(1).any(1)[:, None, None]
            updates.append(size.to(momentum) * orthogonalized(momentum))
        pairs = zip(places.flattened(updates), parameters, strict=True)
        return [direction.view_as(parameter) for direction, parameter in pairs]

    def _padded(self, parameters: Sequence[nn.Parameter]) -> PaddedMatrices:
        """Places of the matrices of parameters in a few batches."""
        key = tuple(map(id, parameters))
        if key not in self._places:
            sizes = [parameter.numel() for parameter in parameters]
            matrices = [self._matrices[parameter] for parameter in parameters]
            self._places[key] = PaddedMatrices(matrices, sizes, parameters[0].device)
        return self._places[key]

    def _momenta_after(self, parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor]) -> list[Tensor]:
        """Nesterov momenta after gradients, all flattened."""
        momenta = [self._momentum_of(parameter) for parameter in parameters]
        torch._foreach_mul_(momenta, self._momentum)
        torch._foreach_add_(momenta, list(gradients))
        return list(torch._foreach_add(list(gradients), momenta, alpha=self._momentum))

    def _momentum_of(self, parameter: nn.Parameter) -> Tensor:
        """Present momentum of a parameter, flattened."""
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)  # AdamW expects it when it loads a checkpoint
            state["momentum"] = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
        momentum: Tensor = state["momentum"].view(-1)
        return momentum


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
