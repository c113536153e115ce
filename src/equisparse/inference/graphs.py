"""Graphs of frames: kept in memory up to a stated size, built again each time beyond it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from equisparse.backbones.base import Predictor
from equisparse.data.frames import LabelledFrame

_UNKNOWN = -1


class Budget:
    """Memory that graphs may take, shared by several data sets.

    Parameters
    ----------
    gigabytes : float or None
        No limit if None.
    """

    def __init__(self, gigabytes: float | None = None) -> None:
        self._left = float("inf") if gigabytes is None else gigabytes * 1e9

    def take(self, size: int) -> bool:
        """Reserve some bytes; False if they are no longer free."""
        if size > self._left:
            self._left = 0.0  # later frames are not kept either: those in memory come first
            return False
        self._left -= size
        return True


class Graphs:
    """Graphs of frames by index.

    Parameters
    ----------
    backbone : Predictor
        Builds the graphs.
    frames : sequence of LabelledFrame
    budget : Budget
        Graphs of the first frames are built at once and kept as long as it lasts.
    """

    def __init__(self, backbone: Predictor, frames: Sequence[LabelledFrame], budget: Budget) -> None:
        self._backbone, self._frames = backbone, frames
        self._kept: list[Any] = []
        self._edges: NDArray[np.int64] = np.full(len(frames), _UNKNOWN, dtype=np.int64)
        for frame in frames:
            graph = backbone.graph(frame.atoms)
            if not budget.take(_bytes(graph)):
                break
            self._kept.append(graph)

    def keeps(self, index: int) -> bool:
        """Return whether a graph is in memory."""
        return index < len(self._kept)

    def graph(self, index: int, frame: LabelledFrame | None = None) -> object:
        """Graph of a frame; `frame` saves reading it again."""
        if self.keeps(index):
            return self._kept[index]
        return self._backbone.graph((frame or self._frames[index]).atoms)

    def edges(self, index: int) -> int:
        """Number of edges of a graph, counted once."""
        if self._edges[index] == _UNKNOWN:
            self._edges[index] = edge_count(self.graph(index))
        return int(self._edges[index])


def edge_count(graph: object) -> int:
    """Number of edges of a graph of any backbone."""
    inner: Any = getattr(graph, "graph", graph)  # a graph with spins has one inside
    return int(inner["edge_index"].shape[1])


def _bytes(graph: Any) -> int:
    """Bytes of the tensors of a graph."""
    return sum(tensor.nbytes for tensor in _tensors([graph]))


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    """All tensors in nested containers."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Mapping):
            yield from _tensors(value.values())
        elif hasattr(value, "to_dict"):
            yield from _tensors(value.to_dict().values())
        elif hasattr(value, "__dict__"):
            yield from _tensors(vars(value).values())
