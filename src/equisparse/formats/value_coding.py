"""Numbers of one type as few bytes, without loss: all first bytes, all second bytes and so on, each compressed.

Bytes with sign and exponent are alike and become smaller; those of the last digits do not, and are kept as they are.
"""

import torch
from torch import Tensor

from equisparse.formats.compression import compress, expand

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}
"""Types that values of entries may have, by their names in files."""


def encode(values: Tensor) -> tuple[list[int], bytes]:
    """Flat values as bytes.

    Returns
    -------
    list of int
        Compressed size of each byte of the type; 0 where it is kept as it is.
    bytes
    """
    planes = values.contiguous().view(torch.uint8).reshape(-1, values.element_size()).T.contiguous().numpy()
    sizes, contents = [], []
    for plane in planes:
        compressed = compress(plane.tobytes())
        sizes.append(0 if compressed is None else len(compressed))
        contents.append(plane.tobytes() if compressed is None else compressed)
    return sizes, b"".join(contents)


def decode(sizes: object, contents: bytes, count: int, dtype: torch.dtype) -> tuple[Tensor, int]:
    """Values from bytes that `encode` made, and how many of the bytes they take: untrusted input.

    Parameters
    ----------
    sizes : list of int
        As `encode` returns them.
    contents : bytes
        Starts with the values.
    count : int
        Number of values.
    dtype : torch.dtype
        Of the values.

    Raises
    ------
    ValueError
        If the bytes do not hold `count` values.
    """
    if not isinstance(sizes, list) or len(sizes) != dtype.itemsize:
        raise ValueError("another number of sizes than the values have bytes")
    planes, start = [], 0
    for size in sizes:
        end = start + (size or count)
        if type(size) is not int or not 0 <= size < max(count, 1) or end > len(contents):
            raise ValueError("sizes that the values cannot have")
        plane = expand(contents[start:end], count) if size else contents[start:end]
        if len(plane) != count:
            raise ValueError("another number of values than entries")
        planes.append(torch.frombuffer(bytearray(plane), dtype=torch.uint8))
        start = end
    return torch.stack(planes, dim=1).reshape(-1).view(dtype), start
