"""Process batches that do not fit into memory in smaller pieces; warn the user once."""

import logging
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

import torch

from equisparse.errors import StateError

_log = logging.getLogger(__name__)

_PHRASES = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")
"""Phrases in the RuntimeErrors of torch's CPU allocators; the GPU allocator has its own exception class."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class BatchLimiter:
    """Limit on the number of frames that are processed at once, lowered when a batch does not fit into memory."""

    warned: ClassVar[bool] = False
    """Whether this process has warned the user."""

    def __init__(self) -> None:
        self.frames: int | None = None

    def shrink(self, error: BaseException, tried: int) -> None:
        """Lower the limit because `tried` frames did not fit; raise other errors again.

        Raises
        ------
        StateError
            If a single frame does not fit.
        """
        if not is_out_of_memory(error):
            raise error
        if tried == 1:
            raise StateError(
                "A single frame does not fit into memory.",
                cause="a very large frame, or other processes that use the memory",
                next_step="use a machine or device with more memory, and continue from the last epoch with --resume",
            ) from error
        if not BatchLimiter.warned:
            BatchLimiter.warned = True
            _log.warning(
                "Out of memory with %d frames at once: batches are now processed in smaller pieces. The result of a "
                "fine-tune stays the same, up to rounding.",
                tried,
            )
        self.frames = (tried + 1) // 2


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error is an out-of-memory error of the GPU, of torch on the CPU, or of Python."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in _PHRASES)


def in_pieces(
    items: Sequence[_Item], run: Callable[[Sequence[_Item]], _Result], limiter: BatchLimiter
) -> list[_Result]:
    """Call `run` on all items at once, or on consecutive pieces if they do not fit into memory; return all results.

    Parameters
    ----------
    items : sequence
        Frames of one batch.
    run : callable
        Function of some items; it must have no side effects if it fails.
    limiter : BatchLimiter
    """
    results: list[_Result] = []
    rest = items
    while rest:
        piece = rest[: limiter.frames]
        try:
            results.append(run(piece))
            rest = rest[len(piece) :]
            continue
        except (RuntimeError, MemoryError) as error:
            limiter.shrink(error, len(piece))
        if torch.cuda.is_available():  # after the except block: the error holds tensors
            torch.cuda.empty_cache()
    return results
