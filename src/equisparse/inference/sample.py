"""One frame as input of a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from equisparse.data.frames import Floats
from equisparse.quantities import Quantity


@dataclass(frozen=True, eq=False)
class Sample:
    """One frame as input of a model.

    Parameters
    ----------
    graph
        Result of `Predictor.graph`.
    labels : mapping of Quantity to array
        Labels of the frame, float64; the shifts of the reference energies are subtracted from the energy.
    n_atoms : int
    has_stress : bool
        Whether the frame has a stress; see `equisparse.data.frames.has_stress`.
    weights : mapping of Quantity to float
        Weights in the loss that are not 1.
    """

    graph: Any
    labels: Mapping[Quantity, Floats]
    n_atoms: int
    has_stress: bool
    weights: Mapping[Quantity, float] = field(default_factory=dict)
