"""Batches that do not fit into memory are taken in smaller pieces, and the user is warned once."""

import logging
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

import torch

from equisparse.errors import StateError

_log = logging.getLogger(__name__)

_PHRASES = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")
"""In the RuntimeErrors of torch's allocators; those of the GPU have a class of their own."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class BatchLimiter:
    """Limit on the frames that are taken at once, lowered whenever a batch does not fit into memory."""

    warned: ClassVar[bool] = False
    """Whether this process has warned its user."""

    def __init__(self) -> None:
        self.frames: int | None = None

    def shrink(self, error: BaseException, tried: int) -> None:
        """Lower the limit because `tried` frames did not fit; raise other errors again.

        Raises
        ------
        StateError
            If there is no smaller piece.
        """
        if not is_out_of_memory(error):
            raise error
        if tried == 1:
            raise StateError(
                "The memory is too small for a single frame.",
                cause="a frame that is too large, or other processes that hold memory",
                next_step="take a machine or device with more memory, and go on from the last epoch with --resume",
            ) from error
        if not BatchLimiter.warned:
            BatchLimiter.warned = True
            _log.warning(
                "Out of memory with %d frames at once: batches are taken in smaller pieces from now on. The steps of a "
                "fine-tune stay the same, up to rounding.",
                tried,
            )
        self.frames = (tried + 1) // 2


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory is short: of the GPU, of torch on the CPU, or of Python."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in _PHRASES)


def in_pieces(
    items: Sequence[_Item], run: Callable[[Sequence[_Item]], _Result], limiter: BatchLimiter
) -> list[_Result]:
    """Results of `run` on all items at once, or on one piece after the other where they do not fit into memory.

    Parameters
    ----------
    items : sequence
        Frames of one batch.
    run : callable
        Must leave nothing behind where it fails.
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
        if torch.cuda.is_available():  # now that the error, and with it the tensors of its frames, is gone
            torch.cuda.empty_cache()
    return results
