"""What upstream packages change for the whole process, kept to the blocks that need it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def kept_environment() -> Iterator[None]:
    """After the block the environment variables are those of before."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Within the block new tensors have `dtype`; afterwards the type of before."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
