"""Sequences that keep their items in a temporary file: memory does not grow with their size, access is by index."""

import os
import pickle
import tempfile
import weakref
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Generic, TypeVar, overload

from equisparse.errors import WriteError

_Item = TypeVar("_Item")
_New = TypeVar("_New")

_PASS_BYTES = 2**20


class _ByIndex(Sequence[_Item], ABC, Generic[_Item]):
    """Sequence whose items are read one by one; a slice is a list."""

    @abstractmethod
    def _at(self, place: int) -> _Item:
        """Read the item at a place from 0 to the length less one."""

    @overload
    def __getitem__(self, index: int) -> _Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[_Item]: ...
    def __getitem__(self, index: int | slice) -> _Item | Sequence[_Item]:
        places = range(len(self))[index]
        return [self._at(place) for place in places] if isinstance(places, range) else self._at(places)


class Spool(_ByIndex[_Item]):
    """Read-only sequence whose items are pickled into a temporary file, which has no name, so nothing is left of it.

    The folder is that of Python's `tempfile`: set ``TMPDIR`` to a local disk with enough space. Processes that are
    started by fork read the same file.

    Parameters
    ----------
    items : iterable
        Read once.
    encode : callable
        Item -> a smaller object that is pickled in its place.
    decode : callable
        The inverse of `encode`.

    Raises
    ------
    WriteError
        If the file cannot be written, as on a full disk.
    """

    def __init__(
        self,
        items: Iterable[_Item],
        encode: Callable[[_Item], object] = lambda item: item,
        decode: Callable[[object], _Item] = lambda stored: stored,  # type: ignore[assignment,return-value]
    ) -> None:
        self._decode = decode
        self._ends = array("q", [0])
        descriptor, name = tempfile.mkstemp(prefix="equisparse-", suffix=".spool")
        Path(name).unlink()  # the open file stays; nothing is left on the disk, however the program ends
        self._close = weakref.finalize(self, os.close, descriptor)
        self._descriptor = descriptor
        try:
            with os.fdopen(os.dup(descriptor), "wb", buffering=_PASS_BYTES) as file:
                for item in items:
                    self._ends.append(self._ends[-1] + file.write(pickle.dumps(encode(item), protocol=5)))
        except OSError as error:
            self._close()
            raise WriteError(
                "Frames cannot be kept on the disk.",
                given=f"{name}: {error.strerror or error}",
                cause="the disk is full",
                next_step="set TMPDIR to a folder on a local disk with more space",
            ) from error

    def __len__(self) -> int:
        return len(self._ends) - 1

    def _at(self, place: int) -> _Item:
        first, end = self._ends[place], self._ends[place + 1]
        return self._decode(pickle.loads(os.pread(self._descriptor, end - first, first)))  # noqa: S301  our own file

    def __iter__(self) -> Iterator[_Item]:
        """Iterate in order; the file is read in large pieces."""
        first = 0
        while first < len(self):
            last = first + 1
            while last < len(self) and self._ends[last] - self._ends[first] < _PASS_BYTES:
                last += 1
            start = self._ends[first]
            block = memoryview(os.pread(self._descriptor, self._ends[last] - start, start))
            for place in range(first, last):
                piece = block[self._ends[place] - start : self._ends[place + 1] - start]
                yield self._decode(pickle.loads(piece))  # noqa: S301  our own file
            first = last


class Mapped(_ByIndex[_New], Generic[_Item, _New]):
    """Sequence of the values of a function of the items of another sequence, computed when one is read.

    Parameters
    ----------
    items : sequence
    function : callable
    """

    def __init__(self, items: Sequence[_Item], function: Callable[[_Item], _New]) -> None:
        self._items, self._function = items, function

    def __len__(self) -> int:
        return len(self._items)

    def _at(self, place: int) -> _New:
        return self._function(self._items[place])

    def __iter__(self) -> Iterator[_New]:
        return map(self._function, self._items)


class Part(_ByIndex[_Item]):
    """Items of a sequence with some indices, in their order; they are read when they are needed.

    Parameters
    ----------
    items : sequence
    indices : sequence of int
    """

    def __init__(self, items: Sequence[_Item], indices: Sequence[int]) -> None:
        self._items, self._indices = items, array("q", indices)

    def __len__(self) -> int:
        return len(self._indices)

    def _at(self, place: int) -> _Item:
        return self._items[self._indices[place]]


class Joined(_ByIndex[_Item]):
    """Items of several sequences, one after the other.

    Parameters
    ----------
    parts : sequence of sequence
    """

    def __init__(self, parts: Sequence[Sequence[_Item]]) -> None:
        self.parts = parts
        self._starts = list(accumulate(map(len, parts), initial=0))

    def __len__(self) -> int:
        return self._starts[-1]

    def _at(self, place: int) -> _Item:
        part = bisect_right(self._starts, place) - 1
        return self.parts[part][place - self._starts[part]]

    def __iter__(self) -> Iterator[_Item]:
        return chain.from_iterable(self.parts)


def selected(items: Sequence[_Item], indices: Sequence[int]) -> Sequence[_Item]:
    """Items with some indices: a list if the items are in memory, else a `Part` of them."""
    return [items[i] for i in indices] if _in_memory(items) else Part(items, indices)


def _in_memory(items: Sequence[_Item]) -> bool:
    """Return whether all items are in memory."""
    return all(map(_in_memory, items.parts)) if isinstance(items, Joined) else isinstance(items, list)
