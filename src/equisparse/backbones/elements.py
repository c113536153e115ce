"""Elements of frames that a base does not know."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from equisparse.backbones.base import Predictor
from equisparse.errors import BackboneError
from equisparse.wording import counted


def check_elements(backbone: Predictor, frames: Sequence[Atoms]) -> None:
    """Check that the base knows all elements of some frames.

    Raises
    ------
    BackboneError
        If it does not; the message lists the missing elements.
    """
    present: NDArray[np.int64] = np.unique(np.concatenate([atoms.numbers for atoms in frames]))
    missing = sorted(set(present.tolist()) - backbone.elements)
    if missing:
        raise BackboneError(
            "The base model does not know all elements of the data.",
            given=", ".join(chemical_symbols[z] for z in missing),
            expected=f"the {counted(len(backbone.elements), 'element')} that {backbone.identity.source} was trained on",
            next_step="choose a base that knows them; fine-tuning cannot add an element",
        )
