"""Lossless compression (deflate, RFC 1951) with limits on the expanded size: reading cannot exhaust the memory."""

import zlib

_MOST_EXPANSION = 64
"""Largest ratio of expanded to compressed size: more than numbers need, and too little for harm."""
_RAW = -zlib.MAX_WBITS
"""Deflate without header and checksum."""


def compress(contents: bytes) -> bytes | None:
    """Compressed bytes; None if they would be no smaller, or too small to be read again."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, _RAW)
    found = compressor.compress(contents) + compressor.flush()
    return found if len(found) < len(contents) <= _MOST_EXPANSION * len(found) else None


def expand(contents: bytes, most: int) -> bytes:
    """Expanded bytes: untrusted input.

    Parameters
    ----------
    contents : bytes
        As `compress` makes them.
    most : int
        Largest number of expanded bytes.

    Raises
    ------
    ValueError
        If these are no compressed bytes, or more than allowed.
    """
    limit = min(most, _MOST_EXPANSION * len(contents))
    decompressor = zlib.decompressobj(_RAW)
    try:
        found = decompressor.decompress(contents, limit + 1)
    except zlib.error as error:
        raise ValueError(f"damaged compression: {error}") from error
    if len(found) > limit or not decompressor.eof or decompressor.unused_data:
        raise ValueError("compressed bytes that end early or are too many")
    return found
