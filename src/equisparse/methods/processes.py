"""Sums over the processes of a training, which need not be all processes that torch knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor, distributed

_ALONE = ContextVar("alone", default=False)


@contextmanager
def alone() -> Iterator[None]:
    """Let a training within the block be one of this process only, such as a member of an ensemble."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def sum_over_processes(x: Tensor) -> None:
    """Sum a tensor in place over all processes of the training."""
    if not _ALONE.get() and distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(x)
