"""Entries as bytes: without loss for any support, small enough, and refused where the bytes are wrong."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equisparse.adapters.file import load_adapter
from equisparse.blocks import Layout, matrix_blocks
from equisparse.formats import index_coding
from equisparse.formats.compression import compress, expand
from equisparse.formats.entries import Entries, entries_in, pack
from equisparse.formats.index_coding import BITMAP, GAPS, CodedIndices

REAL = Path(__file__).parents[2] / "regression" / "adapters" / "version-1-real" / "7net-0.safetensors"


@st.composite
def supports(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """Rising indices of any density, with or without a pattern, and the size of the tensor."""
    numel = draw(st.one_of(st.integers(1, 300), st.integers(60_000, 200_000)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        step = draw(st.integers(1, numel))
        return np.arange(draw(st.integers(0, step - 1)), numel, step), numel
    count = draw(st.integers(1, numel))
    return np.sort(random.choice(numel, count, replace=False)), numel


@given(supports())
def test_indices_are_kept(support: tuple[np.ndarray, int]) -> None:
    index, numel = support
    coded = index_coding.encode(index, numel)
    assert np.array_equal(index_coding.decode(coded, len(index), numel), index)


def uniform(numel: int, count: int) -> np.ndarray:
    return np.sort(np.random.default_rng(0).choice(numel, count, replace=False))


@pytest.mark.parametrize(
    ("index", "numel", "coding"),
    [
        (uniform(50_000, 25_000), 50_000, BITMAP),
        (np.arange(7, 100_000, 64)[uniform(1563, 1400)], 100_000, GAPS),
        (uniform(50_000, 100), 50_000, 8),
        (np.array([12_345]), 50_000, 13),
    ],
)
def test_every_coding_is_the_smallest_somewhere(index: np.ndarray, numel: int, coding: int | str) -> None:
    assert index_coding.encode(index, numel).coding == coding


@given(st.integers(1, 10), st.integers(1, 4000), st.sampled_from([torch.float16, torch.float32]), st.integers(0, 999))
def test_no_support_needs_more_bytes_than_planned(tensors: int, room: int, dtype: torch.dtype, seed: int) -> None:
    sizes = {f"t{number}": (50 * (number + 1),) for number in range(tensors)}
    blocks = [b for name, (n,) in sizes.items() for b in matrix_blocks(name, [("0e->0e", 0, 1, (1, n))], "linear", 0)]
    layout = Layout(tuple(blocks), sizes, 10_000)
    count = entries_in(room, layout, dtype)
    generator = torch.Generator().manual_seed(seed)
    change = torch.zeros(layout.numel)
    change[torch.randperm(layout.numel, generator=generator)[:count]] = 1 + torch.rand(count, generator=generator)
    parts = change.split([n for (n,) in sizes.values()])
    stored = {name: pack(part, dtype) for name, part in zip(sizes, parts, strict=True)}
    assert sum(len(contents) for contents in Entries().encode(stored, layout)[1].values()) <= room


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_values_of_every_type_are_kept(dtype: torch.dtype) -> None:
    layout = load_adapter(REAL).layout
    generator = torch.Generator().manual_seed(0)
    stored = {}
    for name in layout.tensors[::2]:
        change = torch.randn(layout.size_of(name), generator=generator, dtype=torch.float64)
        change[torch.rand(change.shape, generator=generator) > 0.05] = 0
        stored[name] = pack(change, dtype)
    table, tensors = Entries().encode(stored, layout)
    decoded = Entries().decode(table, tensors, layout)
    assert list(decoded) == list(stored)
    for name, parts in stored.items():
        for part, values in parts.items():
            assert torch.equal(decoded[name][part], values)
            assert decoded[name][part].dtype == values.dtype


@pytest.mark.parametrize(
    ("coded", "count"),
    [
        (CodedIndices(BITMAP, b"\x03"), 2),
        (CodedIndices(BITMAP, b"\x03\x00"), 3),
        (CodedIndices(BITMAP, b"\x01\x80"), 2),
        (CodedIndices(0, b"\xff\xff"), 2),
        (CodedIndices(0, b"\x03"), 2),
        (CodedIndices(3, b"\x07\x03"), 2),
        (CodedIndices(2, b"\x0f\x30"), 2),
        (CodedIndices(31, b""), 2),
        (CodedIndices(True, b""), 2),
        (CodedIndices("raw", b""), 2),
        (CodedIndices(GAPS, b"\x03"), 2),
        (CodedIndices(GAPS, compress(bytes(9)) or b""), 2),
        (CodedIndices(BITMAP, b"\x00\x00"), 0),
        (CodedIndices(BITMAP, b"\xff\x07"), 12),
    ],
)
def test_bytes_that_are_no_indices_are_refused(coded: CodedIndices, count: int) -> None:
    with pytest.raises(ValueError, match=r"indices|entries|compress"):
        index_coding.decode(coded, count, 10)


@pytest.mark.parametrize("index", [[3, 1], [1, 1], [-1, 2], [0, 10]])
def test_indices_that_do_not_rise_or_fit_are_not_written(index: list[int]) -> None:
    with pytest.raises(ValueError, match="indices"):
        index_coding.encode(np.array(index), 10)


def test_a_small_file_cannot_expand_to_a_large_one() -> None:
    assert compress(bytes(10**6)) is None
    compressed = compress(bytes(range(256)) * 20) or b""
    assert expand(compressed, 5120) == bytes(range(256)) * 20
    for damaged, most in ((compressed, 5119), (compressed[:-1], 5120), (compressed + b"0", 5120), (b"", 10)):
        with pytest.raises(ValueError, match="compress"):
            expand(damaged, most)
