"""Batches that do not fit into memory: they are taken in smaller pieces, and the user is told once."""

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


class Room:
    """How many frames fit into memory at once, learnt from batches that did not.

    Parameters
    ----------
    alone : bool
        Whether this process may take smaller pieces by itself; not among processes that train together.
    """

    told: ClassVar[bool] = False
    """Whether the user of this process was told."""

    def __init__(self, *, alone: bool = True) -> None:
        self.frames: int | None = None
        self._alone = alone

    def shrink(self, error: BaseException, tried: int) -> None:
        """Learn that `tried` frames did not fit; other errors are raised again.

        Raises
        ------
        StateError
            If there is no smaller piece.
        """
        if not is_out_of_memory(error):
            raise error
        if tried == 1:
            raise _too_small("a single frame that is too large, or other processes that hold memory", "") from error
        if not self._alone:
            raise _too_small("several processes wait for each other", " or a smaller --batch-size,") from error
        if not Room.told:
            Room.told = True
            _log.warning(
                "Out of memory with %d frames at once: batches are taken in smaller pieces from now on. The steps of a "
                "fine-tune stay the same, up to rounding.",
                tried,
            )
        self.frames = (tried + 1) // 2


def _too_small(cause: str, remedy: str) -> StateError:
    """There is no smaller piece."""
    return StateError(
        "The memory is too small for a batch, and it cannot be taken in smaller pieces.",
        cause=cause,
        next_step=f"take a machine or device with more memory,{remedy} and go on from the last epoch with --resume",
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is short: of the GPU, of torch on the CPU, or of Python."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in _PHRASES)


def in_pieces(items: Sequence[_Item], run: Callable[[Sequence[_Item]], _Result], room: Room) -> list[_Result]:
    """Results of `run` on all items at once, or on one piece after the other where they do not fit into memory.

    Parameters
    ----------
    items : sequence
        Frames of one batch.
    run : callable
        Must leave nothing behind where it fails.
    room : Room
    """
    results: list[_Result] = []
    rest = items
    while rest:
        piece = rest[: room.frames]
        try:
            results.append(run(piece))
            rest = rest[len(piece) :]
            continue
        except (RuntimeError, MemoryError) as error:
            room.shrink(error, len(piece))
        if torch.cuda.is_available():  # now that the error, and with it the tensors of its frames, is gone
            torch.cuda.empty_cache()
    return results
