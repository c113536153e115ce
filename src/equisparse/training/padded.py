"""Matrices of many parameters as a few batches, padded with zeros.

On a GPU, the launch of an operation on a small matrix takes longer than the operation. Matrices of several shapes are
therefore one batch of the largest of these shapes, where that adds little work.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import torch
from torch import Tensor

from equisparse.methods.matrices import Matrices

MOST_PADDING = 0.25
"""Largest additional work of the padding, as a fraction of the work without it."""

Shape = tuple[int, int]
"""Rows and columns of a matrix, columns not fewer than rows."""


class PaddedMatrices:
    """Positions of the matrices of some flattened parameters in a few batches of one shape each.

    Every matrix has at least as many columns as rows in its batch: it is transposed otherwise.

    Parameters
    ----------
    parameters : sequence of tuple of Matrices
        The matrices that tile each parameter.
    sizes : sequence of int
        Number of entries of each parameter.
    device : torch.device
    """

    def __init__(self, parameters: Sequence[tuple[Matrices, ...]], sizes: Sequence[int], device: torch.device) -> None:
        self._sizes = list(sizes)
        matrices = list(_places(parameters, sizes))
        buckets = bucket_shapes(Counter((place.shape[0], place.shape[1]) for place in matrices))
        members: dict[Shape, list[Tensor]] = {}
        for place in matrices:
            members.setdefault(buckets[(place.shape[0], place.shape[1])], []).append(place)
        padding = sum(sizes)
        batches = [_padded(places, shape, padding) for shape, places in members.items()]
        positions = torch.cat([batch.reshape(-1) for batch in batches])
        inverse = torch.empty(padding + 1, dtype=torch.int64)
        inverse[positions] = torch.arange(len(positions))
        self._shapes = [tuple(batch.shape) for batch in batches]
        self._positions, self._inverse = positions.to(device), inverse[:padding].to(device)
        widths = [torch.tensor([float(place.shape[1]) for place in places]) for places in members.values()]
        self.columns = [width.view(-1, 1, 1).to(device) for width in widths]
        """Number of columns of every matrix before the padding, shape (n, 1, 1), for each batch."""

    def batches(self, flat: Sequence[Tensor]) -> list[Tensor]:
        """Matrices of flattened tensors of the sizes of the parameters, shape (n, rows, columns), for each batch."""
        joined = torch.cat([*flat, flat[0].new_zeros(1)]).index_select(0, self._positions)
        pieces = joined.split([n * rows * columns for n, rows, columns in self._shapes])
        return [piece.view(shape) for piece, shape in zip(pieces, self._shapes, strict=True)]

    def flattened(self, batches: Iterable[Tensor]) -> list[Tensor]:
        """Inverse of `batches`: one flattened tensor per parameter."""
        joined = torch.cat([batch.reshape(-1) for batch in batches])
        return list(joined.index_select(0, self._inverse).split(self._sizes))


def bucket_shapes(counts: Counter[Shape]) -> dict[Shape, Shape]:
    """Shape of the batch for every shape of matrices, such that few batches and little padding result.

    Shapes are joined, those first whose padding is the least work, up to `MOST_PADDING`.

    >>> bucket_shapes(Counter({(64, 128): 20, (64, 89): 1, (64, 512): 20}))
    {(64, 128): (64, 128), (64, 89): (64, 128), (64, 512): (64, 512)}
    """
    joined: dict[Shape, list[Shape]] = {shape: [shape] for shape in counts}
    room = MOST_PADDING * sum(count * _work(shape) for shape, count in counts.items())
    numbers = dict(counts)
    while len(joined) > 1:
        extra, one, other = min(_merger(numbers, *pair) for pair in combinations(sorted(joined), 2))
        if extra > room:
            break
        room -= extra
        members, number = joined.pop(one) + joined.pop(other), numbers.pop(one) + numbers.pop(other)
        both = _larger(one, other)
        joined[both] = members + joined.get(both, [])
        numbers[both] = number + numbers.get(both, 0)
    bucket = {shape: both for both, members in joined.items() for shape in members}
    return {shape: bucket[shape] for shape in counts}


def _merger(numbers: dict[Shape, int], one: Shape, other: Shape) -> tuple[int, Shape, Shape]:
    """Additional work if two batches become one, and the shapes of both."""
    before = numbers[one] * _work(one) + numbers[other] * _work(other)
    return (numbers[one] + numbers[other]) * _work(_larger(one, other)) - before, one, other


def _larger(one: Shape, other: Shape) -> Shape:
    """Smallest shape that holds both."""
    return max(one[0], other[0]), max(one[1], other[1])


def _work(shape: Shape) -> int:
    """Measure of the work of a product of a matrix by its transpose."""
    rows, columns = shape
    return rows * rows * columns


def _places(parameters: Sequence[tuple[Matrices, ...]], sizes: Sequence[int]) -> Iterator[Tensor]:
    """Positions of the entries of each matrix in the joined parameters, shape (rows, columns), columns not fewer."""
    start = 0
    for all_matrices, size in zip(parameters, sizes, strict=True):
        entries = torch.arange(start, start + size)
        for matrices in all_matrices:
            for place in matrices.view(entries):
                yield place.mT if place.shape[0] > place.shape[1] else place
        start += size


def _padded(places: Sequence[Tensor], shape: Shape, padding: int) -> Tensor:
    """Positions of several matrices as one batch; entries that no matrix has are at `padding`."""
    batch = torch.full((len(places), *shape), padding)
    for row, place in zip(batch, places, strict=True):
        row[: place.shape[0], : place.shape[1]] = place
    return batch
