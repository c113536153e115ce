"""Which entries of a change the data reach: the others stay as they are in the base."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from equisparse.methods.base import Controller
from equisparse.methods.parametrization import AbstractParametrization


class Watched(Protocol):
    """Delta whose entries are watched.

    Attributes
    ----------
    raw : AbstractParametrization
        Trained tensor.
    seen : Tensor, bool, shape of the weight
        Entries that have had a gradient.
    """

    raw: AbstractParametrization
    seen: Tensor


class GradientWatch(Controller):
    """Controller that records which entries have had a gradient.

    The product of two factors also changes entries that the data do not use, such as weights of absent elements.

    Parameters
    ----------
    deltas : sequence of Watched
    """

    def __init__(self, deltas: Sequence[Watched]) -> None:
        self._watched = deltas

    def before_step(self, step: int, total: int) -> None:
        for delta in self._watched:
            if not delta.seen.all():
                delta.seen |= delta.raw.reached()
