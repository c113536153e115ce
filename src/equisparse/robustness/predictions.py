"""Interface of a model for the robustness tests: predictions for many structures."""

from collections.abc import Callable, Sequence

from ase import Atoms

from equisparse.data.frames import Floats
from equisparse.quantities import Quantity

Predict = Callable[[Sequence[Atoms]], dict[Quantity, Floats]]
"""A model as the probes see it, such as `equisparse.inference.predict.predict_structures` of a backbone.

Arrays hold the values of all structures one after the other, in the unit of the quantity; the stress of a structure
without one is NaN.
"""
