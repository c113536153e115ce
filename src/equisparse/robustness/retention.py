"""Drift of an adapted model from its base on the probe structures."""

from ase import Atoms

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.data.frames import Floats
from equisparse.inference.predict import predict_structures
from equisparse.quantities import Quantity
from equisparse.robustness.drift import DriftSummary, drift_rows, summary
from equisparse.robustness.structures import probe_structures

_STRIDE = 3
"""Every third structure is enough for the line at the end of a fine-tune."""


def retention(backbone: AbstractBackbone, adapter: Adapter) -> DriftSummary:
    """Summarise the drift of an adapted model from its base on a part of the probe structures."""
    structures, base, adapted = both_predictions(backbone, adapter, _STRIDE)
    return summary(drift_rows(structures, base, adapted, adapter.elements))


def both_predictions(
    backbone: AbstractBackbone, adapter: Adapter, stride: int = 1
) -> tuple[list[Atoms], dict[Quantity, Floats], dict[Quantity, Floats]]:
    """Probe structures to measure on, and the predictions of the untouched base and of the adapted model for them.

    Parameters
    ----------
    backbone : AbstractBackbone
        The untouched base; untouched again afterwards.
    adapter : Adapter
    stride : int
        Take every `stride`-th structure.
    """
    structures = probe_structures(backbone.elements, "measure")[::stride]
    if not structures:
        return [], {}, {}
    base = predict_structures(backbone, structures)
    with adapter.applied(backbone.model):
        return structures, base, predict_structures(backbone, structures)
