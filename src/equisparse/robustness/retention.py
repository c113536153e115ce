"""Drift of an adapted model from its base on the probe structures."""

from typing import Any

from ase import Atoms

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.robustness.drift import drift_rows, summary
from equisparse.robustness.predictions import Predictions, predictor
from equisparse.robustness.structures import probe_structures

_STRIDE = 3
"""Every so many structures are enough for the line at the end of a fine-tune."""


def retention(backbone: AbstractBackbone, adapter: Adapter) -> dict[str, Any]:
    """Summary of the drift on a part of the probe structures, as of `equisparse.robustness.drift.summary`."""
    structures, base, adapted = both_predictions(backbone, adapter, _STRIDE)
    return summary(drift_rows(structures, base, adapted, adapter.elements))


def both_predictions(
    backbone: AbstractBackbone, adapter: Adapter, stride: int = 1
) -> tuple[list[Atoms], Predictions, Predictions]:
    """Probe structures to measure on, and what the untouched base and the adapted model say about them.

    Parameters
    ----------
    backbone : AbstractBackbone
        Untouched; untouched again afterwards.
    adapter : Adapter
    stride : int
        Every so many structures.
    """
    structures, predict = probe_structures(backbone.elements, "measure")[::stride], predictor(backbone)
    base = predict(structures)
    with adapter.applied(backbone.model):
        return structures, base, predict(structures)
