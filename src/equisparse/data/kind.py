"""Kind of a data set, as far as the best learning rate depends on it."""

from collections.abc import Sequence

import numpy as np

from equisparse.data.frames import LabelledFrame


def is_one_molecule(frames: Sequence[LabelledFrame]) -> bool:
    """Return whether all frames have one composition, several atoms, and no periodic direction."""
    if not frames or len(frames[0].numbers) < 2:
        return False
    first = np.sort(frames[0].numbers)
    return all(not frame.atoms.pbc.any() and np.array_equal(np.sort(frame.numbers), first) for frame in frames)
