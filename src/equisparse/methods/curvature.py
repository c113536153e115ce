"""Curvature of the loss around the change of a matrix, estimated from gradients.

The Gauss-Newton matrix of the entries (i, c) and (j, d) of a matrix of weights is approximated by a product
``H_ij S_cd`` of a matrix H of the rows (inputs) and a matrix S of the columns (outputs), which are mean outer products
of gradients (Martens and Grosse, ICML 2015).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from equisparse.methods.processes import sum_over_processes

_MOST_COLUMNS = 2048
"""Largest number of columns for which S is computed as a matrix; of wider ones, only its diagonal is."""


class Probed(Protocol):
    """Delta that records its gradients."""

    def start_probing(self) -> None:
        """Begin to record gradients."""

    def take_probe(self) -> Tensor:
        """Gradient that was recorded since the last call, shape of the weight."""

    def end_probing(self) -> None:
        """Record no more gradients."""


def recorded(deltas: Sequence[Probed], probes: Iterable[None]) -> Iterator[list[Tensor]]:
    """Gradients of all deltas in each of some probes; see `equisparse.methods.base.Controller.start_step`."""
    for delta in deltas:
        delta.start_probing()
    for _ in probes:
        yield [delta.take_probe() for delta in deltas]
    for delta in deltas:
        delta.end_probing()


@dataclass(frozen=True)
class Curvature:
    """Curvature of one matrix of weights.

    Parameters
    ----------
    inputs : Tensor, shape (rows, rows), float64
        H; positive semidefinite.
    outputs : Tensor, shape (columns, columns) or (columns,), float64
        S, or its diagonal if there are many columns.
    """

    inputs: Tensor
    outputs: Tensor

    @property
    def output_factors(self) -> Tensor:
        """Diagonal of S, shape (columns,)."""
        return self.outputs if self.outputs.ndim == 1 else self.outputs.diagonal()

    def between(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Curvature of some entries, shape (n, n), from their rows and columns, shape (n,)."""
        if self.outputs.ndim == 1:
            outputs = self.outputs[columns, None] * (columns[:, None] == columns)
        else:
            outputs = self.outputs[columns[:, None], columns]
        return self.inputs[rows[:, None], rows] * outputs


class CurvatureSum:
    """Sum of the outer products of gradients of one matrix.

    Parameters
    ----------
    rows, columns : int
    device : torch.device
    """

    def __init__(self, rows: int, columns: int, device: torch.device) -> None:
        shape = (columns, columns) if columns <= _MOST_COLUMNS else (columns,)
        self._inputs = torch.zeros(rows, rows, dtype=torch.float64, device=device)
        self._outputs = torch.zeros(shape, dtype=torch.float64, device=device)
        self._count = torch.zeros((), dtype=torch.float64, device=device)

    def add(self, gradient: Tensor) -> None:
        """Add a gradient, shape (rows, columns), float64."""
        self._inputs.addmm_(gradient, gradient.T)
        if self._outputs.ndim == 1:
            self._outputs.add_(gradient.square().sum(0))
        else:
            self._outputs.addmm_(gradient.T, gradient)
        self._count += 1

    def mean(self) -> Curvature:
        """Mean over the gradients of all processes; the factors are divided such that traces are right."""
        for total in (self._inputs, self._outputs, self._count):
            sum_over_processes(total)  # so that all of them compute the same
        inputs = self._inputs / self._count.clamp_min(1)
        trace = inputs.diagonal().sum().clamp_min(torch.finfo(inputs.dtype).tiny)
        return Curvature(inputs, self._outputs / self._count.clamp_min(1) / trace)
