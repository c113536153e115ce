"""Exponential moving average of the trained parameters, which is validated and kept in place of the last values.

Lightning's callback for this copies the whole model, base included, and averages over the stages of a method.
"""

from collections.abc import Iterable
from typing import TypedDict

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class AverageState(TypedDict):
    """State of an average in a checkpoint.

    Parameters
    ----------
    others : list of Tensor
        The average, or the values that are trained while the parameters hold the average.
    steps : int
    shown : bool
        Whether the parameters hold the average.
    """

    others: list[Tensor]
    steps: int
    shown: bool


class Average:
    """Average ``a <- d a + (1 - d) p`` of parameters p after every step, with ``d = min(decay, (1 + n) / (10 + n))``.

    n counts the steps since the start, so that the first values are soon forgotten.

    Parameters
    ----------
    parameters : iterable of Parameter
    decay : float
        From 0 to below 1.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self._parameters, self._decay = list(parameters), decay
        self._others = [parameter.detach().clone() for parameter in self._parameters]
        self._steps, self._shown = 0, False

    @torch.no_grad()
    def update(self) -> None:
        """Add the values after a step; those of the first step are the average."""
        if self._steps:
            decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
            get_ema_multi_avg_fn(decay)(self._others, self._values(), self._steps)
        else:
            torch._foreach_copy_(self._others, self._values())
        self._steps += 1

    def restart(self) -> None:
        """Forget all values: the parameters were set to new ones."""
        self._steps = 0

    @torch.no_grad()
    def show(self, shown: bool) -> None:
        """Let the parameters hold the average, or again the values that are trained."""
        if shown != self._shown:
            kept = [value.clone() for value in self._values()]
            torch._foreach_copy_(self._values(), self._others)
            torch._foreach_copy_(self._others, kept)
            self._shown = shown

    @torch.no_grad()
    def adopt(self) -> None:
        """Go on from the average, at the end of a stage."""
        if self._steps:
            torch._foreach_copy_(self._values(), self._others)

    def state(self) -> AverageState:
        """State for a checkpoint, beside the present values of the parameters."""
        return {"others": self._others, "steps": self._steps, "shown": self._shown}

    def load_state(self, state: AverageState) -> None:
        """Restore a state that `state` has returned."""
        torch._foreach_copy_(self._others, state["others"])
        self._steps, self._shown = state["steps"], state["shown"]

    def _values(self) -> list[Tensor]:
        """Values of the parameters, without gradients."""
        return [parameter.detach() for parameter in self._parameters]
