"""Matrices of several shapes in a few padded batches."""

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st

from equisparse.methods.matrices import Matrices, consecutive_matrices
from equisparse.training.muon import orthogonalized
from equisparse.training.padded import MOST_PADDING, PaddedMatrices, bucket_shapes

CPU = torch.device("cpu")
SHAPE = st.tuples(st.integers(1, 6), st.integers(1, 6))


@given(st.lists(st.lists(SHAPE, min_size=1, max_size=4), min_size=1, max_size=4))
def test_every_entry_comes_back(shapes: list[list[tuple[int, int]]]) -> None:
    sizes = [sum(rows * columns for rows, columns in each) for each in shapes]
    places = PaddedMatrices([consecutive_matrices(each) for each in shapes], sizes, CPU)
    flat = [torch.randn(size) for size in sizes]
    batches = places.batches(flat)
    assert sum(len(batch) for batch in batches) == sum(map(len, shapes))
    assert all(batch.shape[1] <= batch.shape[2] for batch in batches)
    assert all(torch.equal(one, other) for one, other in zip(places.flattened(batches), flat, strict=True))
    sums = [sum(float(tensor.square().sum()) for tensor in tensors) for tensors in (batches, flat)]
    torch.testing.assert_close(*sums, rtol=1e-4, atol=1e-6)  # all else is zero


def test_padding_does_not_change_the_orthogonal_matrix() -> None:
    shapes = [(30, 40), (40, 30), (29, 39), (30, 38)]
    places = PaddedMatrices([consecutive_matrices(shapes)], [sum(a * b for a, b in shapes)], CPU)
    (flat,) = [torch.randn(sum(a * b for a, b in shapes), dtype=torch.float64)]
    batches = places.batches([flat])
    assert [tuple(batch.shape) for batch in batches] == [(4, 30, 40)]
    (found,) = places.flattened([orthogonalized(batch) for batch in batches])
    for matrices in consecutive_matrices(shapes):
        assert torch.allclose(matrices.view(found), orthogonalized(matrices.view(flat)), atol=1e-12)
    assert sorted(places.columns[0].flatten().tolist()) == [38, 39, 40, 40]


def test_matrices_with_elements_in_the_middle() -> None:
    matrices = Matrices(0, (3, 2, 4), (4, 12, 1))
    places = PaddedMatrices([(matrices,)], [24], CPU)
    assert torch.equal(places.batches([torch.arange(24.0)])[0], matrices.view(torch.arange(24.0)))


@given(st.dictionaries(SHAPE.map(lambda shape: (min(shape), max(shape))), st.integers(1, 9), min_size=1))
def test_padding_is_bounded(counts: dict[tuple[int, int], int]) -> None:
    buckets = bucket_shapes(Counter(counts))
    assert buckets.keys() == counts.keys()
    assert all(own[0] <= both[0] and own[1] <= both[1] for own, both in buckets.items())
    work = [
        sum(number * shape[0] ** 2 * shape[1] for shape, number in pairs)
        for pairs in (counts.items(), [(buckets[shape], number) for shape, number in counts.items()])
    ]
    assert work[0] <= work[1] <= (1 + MOST_PADDING) * work[0]
