"""Natural gradient for few entries: steps that take the curvature between the entries of a path into account.

A step is ``(K + damping)^-1 g`` with the gradient g of the entries of a path and their Gauss-Newton matrix K, see
`equisparse.methods.curvature` (Amari 1998; Martens and Grosse, ICML 2015). Few entries have to do together what all
entries did, so they are coupled strongly, and steps along the gradient are slow. K has one row per entry that may
change, which is affordable because these are few.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from equisparse.methods.curvature import Curvature

RATE = 0.05
"""Part of a step to the minimum of the quadratic model of the loss, at the start of a stage. It is small because paths
are treated as independent of one another, and because batches are small."""
DAMPING = 1.0
"""Multiple of the median diagonal entry of K, over all paths, that is added to its diagonal. The mean would follow a few
entries, such as a readout's, that are a million times as large."""
MOMENTUM = 0.9
WARMUP = 10
"""Most steps over which the rate rises from zero."""
_MOST_NUMBERS = 2**26
"""Numbers of all inverse matrices together: paths with many entries are divided."""


class Descending(Protocol):
    """Delta whose entries are trained by natural gradient.

    Attributes
    ----------
    entries : Parameter
        Trained entries, with their gradient.
    """

    entries: nn.Parameter

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

    @property
    def has_begun(self) -> bool:
        """Whether the entries are trained this way."""
        return bool(self._curvatures)

    def begin(self, curvatures: Sequence[Sequence[Curvature]]) -> None:
        """Train the entries from now on, with the curvature of every block of every delta."""
        self._curvatures = [list(own) for own in curvatures]
        self._velocities = [torch.zeros_like(delta.entries) for delta in self._deltas]
        self._pieces = None
        for delta in self._deltas:
            delta.train_entries()

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Take a step along the natural gradient; `rate` 1 goes to the minimum of the quadratic model of the loss."""
        if self._pieces is None:
            self._pieces = list(_pieces(self._deltas, self._curvatures))
        for index, positions, inverse in self._pieces:
            entries = self._deltas[index].entries
            if entries.grad is None:
                continue
            gradient = entries.grad.reshape(-1)[positions]
            velocity = self._velocities[index].view(-1)
            velocity[positions] = MOMENTUM * velocity[positions] + gradient
            direction = (1 - MOMENTUM) * (gradient + MOMENTUM * velocity[positions])
            entries.view(-1)[positions] -= rate * (inverse @ direction)

    def state(self) -> dict[str, object]:
        """State for a checkpoint; the inverse matrices are computed again."""
        curvatures = [[(one.inputs, one.outputs) for one in own] for own in self._curvatures]
        return {"curvatures": curvatures, "velocities": self._velocities}

    def load_state(self, state: Mapping[str, object]) -> None:
        """Restore a state; the masks of the deltas may be loaded later."""
        devices = [delta.entries.device for delta in self._deltas]
        stored = cast(Sequence[Sequence[tuple[Tensor, Tensor]]], state.get("curvatures", []))
        curvatures = [
            [Curvature(inputs.to(device), outputs.to(device)) for inputs, outputs in own]
            for own, device in zip(stored, devices, strict=bool(stored))
        ]
        if curvatures:
            self.begin(curvatures)
            velocities = cast(Sequence[Tensor], state["velocities"])
            self._velocities = [one.to(device) for one, device in zip(velocities, devices, strict=True)]


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
                damped = curvature.between(some_rows, some_columns)
                damped.diagonal().add_(DAMPING * median)
                inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
                yield _Piece(index, some_positions, inverse.to(delta.entries))
