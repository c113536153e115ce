"""Natural gradient for few entries: steps that take the curvature between the entries of a path into account.

A step is ``(K + damping)^-1 g`` with the gradient g of the entries of a path and their Gauss-Newton matrix K, see
`equisparse.methods.curvature` (Amari 1998; Martens and Grosse, ICML 2015). Few entries have to do together what all
entries did, so they are coupled strongly, and steps along the gradient are slow. K has one row per entry that may
change, which is affordable because these are few.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from equisparse.methods.base import Probes
from equisparse.methods.curvature import Curvature, Probed, recorded
from equisparse.methods.processes import sum_over_processes

RATE = 30.0
"""Rate at the start of a stage, as a multiple of the step to the minimum along the natural gradient of a probe. With
the gradients of training that minimum is about four times as far away, and `MOMENTUM` averages ten steps."""
CAREFUL = 0.002
"""Used for that step where it cannot be measured: the smallest that was seen (7net-0 at 3 %)."""
DAMPING = 1.0
"""Multiple of the median diagonal entry of K, over all paths, that is added to its diagonal. The mean would follow a
few entries, such as a readout's, that are a million times as large."""
MOMENTUM = 0.9
LARGEST_STEP = 0.2
"""Largest root mean square of a step in a path, as a part of the size of the weights. Three times what was seen; it is
there for runs whose rate was measured wrongly."""
WARMUP = 10
"""Most steps over which the rate rises from zero."""
_MOST_NUMBERS = 2**26
"""Numbers of all inverse matrices together: paths with many entries are divided."""
_PROBES = 20
"""Most probes for the rate."""


class Descending(Probed, Protocol):
    """Delta whose entries are trained by natural gradient.

    Attributes
    ----------
    entries : Parameter
        Trained entries, with their gradient.
    size : Tensor, shape ()
        Size of the weights.
    """

    entries: nn.Parameter
    size: Tensor

    def train_entries(self) -> None:
        """Train entries instead of factors from now on."""

    def supports(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Entries of each block that may change: rows, columns, and positions in the flattened tensor."""


class _Piece(NamedTuple):
    """Some entries of one delta that are coupled.

    Parameters
    ----------
    delta : int
        Index of the delta.
    positions : Tensor, shape (n,)
        Positions in the flattened tensor.
    inverse : Tensor, shape (n, n)
        Inverse of the damped curvature, in the precision of the weights.
    """

    delta: int
    positions: Tensor
    inverse: Tensor


class NaturalDescent:
    """Steps of the entries of some deltas with Nesterov momentum.

    Parameters
    ----------
    deltas : sequence of Descending
    """

    def __init__(self, deltas: Sequence[Descending]) -> None:
        self._deltas = deltas
        self._curvatures: list[list[Curvature]] = []
        self._velocities: list[Tensor] = []
        self._pieces: list[_Piece] | None = None
        self._rate = 0.0

    @property
    def has_begun(self) -> bool:
        """True while the entries are trained."""
        return bool(self._curvatures)

    def begin(self, curvatures: Sequence[Sequence[Curvature]], probes: Probes) -> None:
        """Train the entries from now on.

        Parameters
        ----------
        curvatures : sequence of sequence of Curvature
            Curvature of every block of every delta.
        probes : callable
            See `equisparse.methods.base.Controller.start_step`. They tell how far a step may go: the paths share the
            predictions, so the steps of all of them together go further than that of each.
        """
        self._train(curvatures)
        self._rate = RATE * self._line_minimum(probes)

    def end(self) -> None:
        """Train the entries no longer."""
        self._curvatures, self._velocities, self._pieces = [], [], None

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """Take a step along the natural gradient; the rate is multiplied by a factor."""
        for index, positions, inverse in self._present_pieces():
            entries = self._deltas[index].entries
            if entries.grad is None:
                continue
            gradient = entries.grad.reshape(-1)[positions]
            velocity = self._velocities[index].view(-1)
            velocity[positions] = MOMENTUM * velocity[positions] + gradient
            direction = (1 - MOMENTUM) * (gradient + MOMENTUM * velocity[positions])
            entries.view(-1)[positions] -= _limited(
                factor * self._rate * (inverse @ direction), self._deltas[index].size
            )

    def state(self) -> dict[str, object]:
        """State for a checkpoint; the inverse matrices are computed again."""
        curvatures = [[(one.inputs, one.outputs) for one in own] for own in self._curvatures]
        return {"curvatures": curvatures, "velocities": self._velocities, "rate": self._rate}

    def load_state(self, state: Mapping[str, object]) -> None:
        """Restore a state; the masks of the deltas may be loaded later."""
        devices = [delta.entries.device for delta in self._deltas]
        stored = cast(Sequence[Sequence[tuple[Tensor, Tensor]]], state.get("curvatures", []))
        curvatures = [
            [Curvature(inputs.to(device), outputs.to(device)) for inputs, outputs in own]
            for own, device in zip(stored, devices, strict=bool(stored))
        ]
        if curvatures:
            self._train(curvatures)
            velocities = cast(Sequence[Tensor], state["velocities"])
            self._velocities = [one.to(device) for one, device in zip(velocities, devices, strict=True)]
            self._rate = cast(float, state["rate"])

    def _train(self, curvatures: Sequence[Sequence[Curvature]]) -> None:
        """Let the deltas train their entries, without velocity at first."""
        self._curvatures = [list(own) for own in curvatures]
        self._velocities = [torch.zeros_like(delta.entries) for delta in self._deltas]
        self._pieces = None
        for delta in self._deltas:
            delta.train_entries()

    def _present_pieces(self) -> list[_Piece]:
        """Coupled entries; their matrices are inverted when they are first needed."""
        if self._pieces is None:
            self._pieces = list(_pieces(self._deltas, self._curvatures))
        return self._pieces

    def _line_minimum(self, probes: Probes) -> float:
        """Mean decrease of the loss along natural gradients of probes, divided by the mean curvature along them.

        The curvature along the natural gradient of one probe is that of the other probes: it includes what the paths
        have in common, which the inverse matrices leave out.
        """
        products = self._products_of_probes(probes)
        count = len(products)
        squares = products.square()
        curvature = (squares.sum() - squares.diagonal().sum()) / max(1, count - 1)
        sums = torch.stack([products.diagonal().sum(), curvature]) * (count > 1)
        sum_over_processes(sums)
        slope, bend = sums.tolist()
        return slope / bend if bend > 0 else CAREFUL

    def _products_of_probes(self, probes: Probes) -> Tensor:
        """Products ``g_s^T P g_t`` of the gradients of some probes with the inverse matrices P, shape (n, n)."""
        pieces = self._present_pieces()
        found = [
            [gradients[piece.delta].reshape(-1)[piece.positions] for piece in pieces]
            for gradients in recorded(self._deltas, islice(probes(), _PROBES))
        ]
        products = torch.zeros(len(found), len(found), dtype=torch.float64, device=self._deltas[0].entries.device)
        for piece, of_probes in zip(pieces, zip(*found, strict=True), strict=bool(found)):
            rows = torch.stack(of_probes)
            products += (rows @ piece.inverse @ rows.T).double()
        return products


def _limited(step: Tensor, size: Tensor) -> Tensor:
    """Step whose root mean square is at most a part of the size of the weights."""
    length = step.square().mean().sqrt()
    return step * (LARGEST_STEP * size / length.clamp_min(torch.finfo(step.dtype).tiny)).clamp_max(1.0)


def _pieces(deltas: Sequence[Descending], curvatures: Sequence[Sequence[Curvature]]) -> Iterator[_Piece]:
    """Coupled entries of all deltas, with their inverse matrices."""
    supports = [delta.supports() for delta in deltas]
    diagonals = [
        curvature.inputs.diagonal()[rows] * curvature.output_factors[columns]
        for own, blocks in zip(curvatures, supports, strict=True)
        for curvature, (rows, columns, _) in zip(own, blocks, strict=True)
    ]
    diagonal = torch.cat(diagonals)
    median = float(diagonal[diagonal > 0].median()) if bool((diagonal > 0).any()) else 1.0
    size = max(1, _MOST_NUMBERS // max(1, len(diagonal)))
    for index, (delta, own, blocks) in enumerate(zip(deltas, curvatures, supports, strict=True)):
        for curvature, (rows, columns, positions) in zip(own, blocks, strict=True):
            parts = zip(rows.split(size), columns.split(size), positions.split(size), strict=True)
            for some_rows, some_columns, some_positions in parts:
                if not len(some_rows):
                    continue
                damped = curvature.between(some_rows, some_columns)
                damped.diagonal().add_(DAMPING * median)
                inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
                yield _Piece(index, some_positions, inverse.to(delta.entries))
