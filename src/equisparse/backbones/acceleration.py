"""Faster form of a base: replaced only after a self-check in float64."""

import logging
from collections.abc import Callable, Sequence

from ase import Atoms
from torch import nn

from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.equivalence import TOLERANCE, difference, numbers

_log = logging.getLogger(__name__)


def accelerate_checked(
    backbone: AbstractBackbone,
    rewrite: Callable[[nn.Module], None],
    frames: Sequence[Atoms],
) -> bool:
    """Rewrite the model of a backbone in place if both forms give equal numbers; log why, otherwise.

    Parameters
    ----------
    backbone : AbstractBackbone
    rewrite : callable
        Replaces the computations of a model in place.
    frames : sequence of Atoms
        A few small frames to compare on.

    Returns
    -------
    bool
        Whether the model was rewritten.
    """
    try:
        checked = backbone.in_float64()
        plain = numbers(checked, frames)
        rewrite(checked.model)
        if not difference(plain, numbers(checked, frames)) <= TOLERANCE:
            _log.warning("The accelerated form of the model does not agree with the plain one; it is not used.")
            return False
    except Exception:  # noqa: BLE001  any doubt is a reason to use the plain model
        _log.exception("The model could not be accelerated; the plain form is used.")
        return False
    rewrite(backbone.model)
    return True
