"""Points that represent the arrangement of the atoms of frames, for a search for equal structures."""

from collections.abc import Sequence

import numpy as np

from equisparse.data.frames import Floats, LabelledFrame

_SAME = 1e-4
"""Largest difference of a position in equal structures, Angstrom; see `equisparse.data.fingerprint.same_structure`."""
_ATOMS = 4
_MARGIN = 1.01  # rounding, and lattice vectors that differ by up to `_SAME`


def layouts(frames: Sequence[LabelledFrame]) -> tuple[Floats, float]:
    """Points of frames, and a radius: frames of the same structure differ by at most the radius in every column.

    A position in a periodic direction enters by cosine and sine of its phase, so that lattice vectors do not matter.

    Parameters
    ----------
    frames : sequence of LabelledFrame
        Of one composition.

    Returns
    -------
    points : array, shape (n_frames, n_columns)
    radius : float
    """
    rows, radius = [], _SAME * _MARGIN
    for frame in frames:
        positions = frame.positions[:_ATOMS]
        columns = [np.where(frame.pbc.any(), 0.0, positions).ravel(), frame.numbers[:_ATOMS].astype(np.float64)]
        if frame.pbc.any():
            inverse = np.linalg.pinv(frame.atoms.cell.complete().array)
            phases = 2 * np.pi * positions @ inverse
            columns[0] = np.concatenate([(np.cos(phases) * frame.pbc).ravel(), (np.sin(phases) * frame.pbc).ravel()])
            reach = np.abs(inverse).sum(axis=0) * (1 + 3 * np.abs(positions @ inverse).max(initial=0.0))
            radius = max(radius, float(2 * np.pi * _MARGIN * _SAME * reach.max()))
        rows.append(np.concatenate(columns))
    width = max(map(len, rows))
    return np.stack([np.pad(row, (0, width - len(row))) for row in rows]), radius
