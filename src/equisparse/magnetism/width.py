"""Default width of a spin layer: as wide as fits into a fraction of the backbone's size."""

from equisparse.magnetism.layer import SpinLayer
from equisparse.magnetism.options import WIDEST, SpinOptions

SHARE = 0.10
"""Largest size of a spin layer that is chosen by default, as a fraction of the backbone's parameters."""

_STEP = 8
_ANY_CUTOFF = 5.0
"""The number of parameters does not depend on the cutoff."""


def fitting_channels(scalars: int, parameters: int, *, spin_orbit: bool) -> int:
    """Largest multiple of 8 with which a spin layer has at most a tenth of the backbone's parameters; at least 8.

    Parameters
    ----------
    scalars : int
        Invariant channels of the backbone's last layer.
    parameters : int
        Number of parameters of the backbone.
    spin_orbit : bool
        Whether the layer has the terms of spin-orbit coupling.
    """
    width = _STEP
    while width + _STEP <= WIDEST:
        wider = SpinOptions(scalars, _ANY_CUTOFF, width + _STEP, spin_orbit=spin_orbit)
        if SpinLayer(wider).n_parameters > SHARE * parameters:
            break
        width += _STEP
    return width
