"""Rising indices as few bytes, without loss: three codings, of which the smallest is taken for every tensor.

`sorted` splits an index into its low bits, which are stored as they are, and the rest, which rises and is stored as a
string of bits (Elias, J. ACM 21, 246, 1974; Fano, MIT Project MAC memorandum 61, 1971). Its size depends on the number
of indices and not on where they are, so that a file can be planned before its indices are known. `bitmap` has one bit
per place. `gaps` has a byte per difference, compressed: it is the smallest where the places have a pattern.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equisparse.formats.compression import compress, expand

Indices = NDArray[np.int64]
"""Rising positions in a flattened tensor."""

BITMAP = "bitmap"
GAPS = "gaps"
_MOST_LOW_BITS = 30
_ESCAPE = 255
"""Byte of `gaps` that adds 255 places and is followed by more of the same difference."""


@dataclass(frozen=True)
class CodedIndices:
    """Indices as bytes.

    Parameters
    ----------
    coding : int or str
        `BITMAP`, `GAPS`, or the number of low bits of the coding `sorted`.
    contents : bytes
    """

    coding: int | str
    contents: bytes


def encode(index: Indices, numel: int) -> CodedIndices:
    """Smallest coding of rising indices into a tensor of `numel` entries.

    Raises
    ------
    ValueError
        If the indices do not rise or do not fit.
    """
    check(index, numel)
    bits = _best_low_bits(len(index), numel)
    candidates = [CodedIndices(bits, _encode_sorted(index, numel, bits)), CodedIndices(BITMAP, _bitmap(index, numel))]
    if (gaps := compress(_encode_gaps(index))) is not None:
        candidates.append(CodedIndices(GAPS, gaps))
    return min(candidates, key=lambda coded: len(coded.contents))


def decode(coded: CodedIndices, count: int, numel: int) -> Indices:
    """Indices from their bytes: untrusted input.

    Raises
    ------
    ValueError
        If the bytes are not those of `count` rising indices into a tensor of `numel` entries.
    """
    if not 0 < count <= numel:
        raise ValueError(f"{count} entries of a tensor of {numel}")
    if coded.coding == GAPS:
        index = _decode_gaps(coded.contents, count, numel)
    elif coded.coding == BITMAP:
        index = np.flatnonzero(_unpack(coded.contents, numel))
    elif type(coded.coding) is int and 0 <= coded.coding <= _MOST_LOW_BITS:
        index = _decode_sorted(coded.contents, count, numel, coded.coding)
    else:
        raise ValueError("an unknown coding of indices")
    if len(index) != count:
        raise ValueError("another number of indices than was stated")
    check(index, numel)
    return index


def check(index: Indices, numel: int) -> None:
    """Raise ValueError unless indices rise and are positions in a tensor of `numel` entries."""
    if not bool((index[1:] > index[:-1]).all()):
        raise ValueError("indices that do not rise")
    if len(index) and not 0 <= index[0] <= index[-1] < numel:
        raise ValueError(f"indices that do not fit a tensor of {numel} entries")


def most_entries(room: int, sizes: Sequence[int], value_bytes: int) -> int:
    """Number of entries that fit into `room` bytes wherever they are: at most all of the tensors.

    Parameters
    ----------
    room : int
        Bytes for indices and values.
    sizes : sequence of int
        Number of entries of each tensor.
    value_bytes : int
        Bytes of one value.
    """
    counts = [(room - sum(_packed(size) for size in sizes)) // value_bytes]
    for bits in range(_MOST_LOW_BITS + 1):
        rounding = len(sizes) * (16 if bits else 8)
        fixed = rounding + sum((size - 1) >> bits for size in sizes)
        counts.append((8 * room - fixed) // (8 * value_bytes + bits + 1))
    return max(0, min(sum(sizes), *[max(counts)]))


def _sorted_bytes(count: int, numel: int, bits: int) -> int:
    """Size of the coding `sorted`."""
    return _packed(count * bits) + _packed(count + ((numel - 1) >> bits))


def _best_low_bits(count: int, numel: int) -> int:
    """Number of low bits that gives the fewest bytes."""
    return min(range(_MOST_LOW_BITS + 1), key=lambda bits: _sorted_bytes(count, numel, bits))


def _encode_sorted(index: Indices, numel: int, bits: int) -> bytes:
    """Low bits of all indices, then a string in which index i sets the bit i + (its high part)."""
    low = (index[:, None] >> np.arange(bits)) & 1
    high = np.zeros(len(index) + ((numel - 1) >> bits), dtype=np.uint8)
    high[(index >> bits) + np.arange(len(index))] = 1
    return _pack(low.reshape(-1)) + _pack(high)


def _decode_sorted(contents: bytes, count: int, numel: int, bits: int) -> Indices:
    """Indices from the coding `sorted`; their number and order are not checked yet."""
    split = _packed(count * bits)
    places = np.flatnonzero(_unpack(contents[split:], count + ((numel - 1) >> bits)))
    if len(places) != count:
        raise ValueError("another number of indices than was stated")
    low = _unpack(contents[:split], count * bits).reshape(count, bits).astype(np.int64)
    index: Indices = ((places - np.arange(count)) << bits) + (low << np.arange(bits)).sum(1)
    return index


def _bitmap(index: Indices, numel: int) -> bytes:
    """One bit per entry of the tensor."""
    bits = np.zeros(numel, dtype=np.uint8)
    bits[index] = 1
    return _pack(bits)


def _encode_gaps(index: Indices) -> bytes:
    """Numbers of places that are left out before each index, a byte each, with escapes."""
    escapes, rest = np.divmod(np.diff(index, prepend=-1) - 1, _ESCAPE)
    ends = np.cumsum(escapes + 1) - 1
    gaps = np.full(int(escapes.sum()) + len(index), _ESCAPE, dtype=np.uint8)
    gaps[ends] = rest
    return gaps.tobytes()


def _decode_gaps(contents: bytes, count: int, numel: int) -> Indices:
    """Indices from the coding `gaps`; their number and range are not checked yet."""
    gaps = np.frombuffer(expand(contents, count + numel // _ESCAPE), dtype=np.uint8)
    ends = gaps != _ESCAPE
    index: Indices = np.cumsum(gaps + ends.astype(np.int64))[ends] - 1
    return index


def _packed(bits: int) -> int:
    """Bytes that hold a number of bits."""
    return -(-bits // 8)


def _pack(bits: NDArray[np.integer]) -> bytes:
    """Zeros and ones, eight in a byte."""
    return np.packbits(bits.astype(np.uint8), bitorder="little").tobytes()


def _unpack(contents: bytes, bits: int) -> NDArray[np.uint8]:
    """`bits` zeros and ones; ValueError if there are other numbers of bytes, or bits set behind the end."""
    if len(contents) != _packed(bits):
        raise ValueError("another number of bytes than the indices need")
    found = np.unpackbits(np.frombuffer(contents, dtype=np.uint8), bitorder="little")
    if found[bits:].any():
        raise ValueError("bits behind the end of the indices")
    return found[:bits]
