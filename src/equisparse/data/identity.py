"""Digests of frames: which structures and labels a training was started with."""

import hashlib

import numpy as np

from equisparse.data.frames import LabelledFrame

_DECIMALS = 6
"""Decimals of all numbers; the last digits may depend on the version of the reader."""


def frame_digest(frame: LabelledFrame) -> str:
    """Digest of a structure with its spins, labels and their weights: the first 16 hex digits of a SHA-256.

    The file that the frame came from, its index and further `info` do not enter.
    """
    digest = hashlib.sha256()
    parts = {"numbers": frame.numbers, "positions": frame.positions, "cell": frame.cell, "pbc": frame.pbc}
    parts |= {} if frame.spins is None else {"spins": np.asarray(frame.spins)}
    parts |= {f"label {quantity.name}": np.asarray(label) for quantity, label in frame.labels.items()}
    parts |= {f"weight {quantity.name}": np.asarray(weight) for quantity, weight in frame.weights.items()}
    for name in sorted(parts):
        values = np.round(np.asarray(parts[name], dtype=np.float64), _DECIMALS) + 0.0  # no negative zeros
        digest.update(f"{name} {values.shape}".encode() + values.tobytes())
    return digest.hexdigest()[:16]
