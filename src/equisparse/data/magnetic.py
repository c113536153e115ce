"""Spins and moments of a frame: which stored values are inputs, which are results, and what their signs mean.

Spins are inputs: the magnetic order in which a calculation started, or was held. Moments are results. Values stored as
``initial_magmoms`` are spins alone. Values under any other name of spins came out of a calculation, and are moments as
well where no others are stored. Numbers are along z, with their sign. Numbers beside vectors of spins are magnitudes in
the directions of these, if none is negative.
"""

from collections.abc import Mapping

import numpy as np

from equisparse.data.frames import Floats
from equisparse.errors import DataError

INITIAL = "initial_magmoms"
"""Where ASE keeps the spins that a calculation starts from; frames that were read have their input spins there."""

_VISIBLE = 0.05
"""Smallest moment, muB, that cannot be without a direction."""


def read_spins(
    names: Mapping[str, str], spins: Floats | None, moments: Floats | None, n_atoms: int
) -> tuple[Floats | None, Floats | None]:
    """Input spins and moments of one frame from its stored values.

    Parameters
    ----------
    names : mapping
        ``spins`` and ``moments`` -> name under which they are stored.
    spins, moments : array or None
        As stored.
    n_atoms : int

    Returns
    -------
    spins : array, shape (n_atoms,) or (n_atoms, 3), muB, or None
    moments : array, shape (n_atoms, 3), muB, or None

    Raises
    ------
    DataError
        If a shape is wrong, or spins and moments do not have one convention.
    """
    spins = None if spins is None else _per_atom(spins, names["spins"], n_atoms)
    if moments is None and names.get("spins") != INITIAL:
        moments = spins
    elif moments is not None:
        moments = _directed(_per_atom(moments, names["moments"], n_atoms), spins, names)
    return spins, None if moments is None else as_vectors(moments)


def as_vectors(values: Floats) -> Floats:
    """Spins or moments, shape (n_atoms,) or (n_atoms, 3), as vectors; numbers are along z."""
    return values if values.ndim == 2 else np.stack([np.zeros_like(values), np.zeros_like(values), values], axis=1)


def _per_atom(values: Floats, name: str, n_atoms: int) -> Floats:
    """Numbers or vectors, one for each atom."""
    if values.shape == (n_atoms, 1):
        values = values[:, 0]
    if values.shape not in ((n_atoms,), (n_atoms, 3)):
        raise _wrong_shape(name, values, f"({n_atoms},) or ({n_atoms}, 3)")
    return values


def _directed(moments: Floats, spins: Floats | None, names: Mapping[str, str]) -> Floats:
    """Moments as they are, or magnitudes turned into the directions of spins."""
    if moments.ndim == 2 or spins is None or spins.ndim == 1 or not spins[:, :2].any():
        return moments
    if (moments < 0).any():
        raise DataError(
            "spins and moments do not have one convention",
            given=f"{names['spins']!r} with vectors, {names['moments']!r} with numbers down to {moments.min():.3g}",
            expected="vectors for both, or numbers >= 0 that are the lengths of moments along the spins",
            cause="collinear results beside the directions of another calculation",
            next_step="name the right keys with --spins-key and --moments-key",
        )
    length = np.linalg.norm(spins, axis=1)
    lost = np.flatnonzero((length == 0) & (moments > _VISIBLE))
    if lost.size:
        raise DataError(
            f"atom {lost[0]} has a moment of {moments[lost[0]]:.3g} muB but no direction",
            given=f"{names['moments']!r} with numbers, {names['spins']!r} with a vector of zeros",
            expected="a direction for every moment",
        )
    return np.asarray(spins * (moments / np.where(length > 0, length, 1.0))[:, None])


def _wrong_shape(name: str, values: Floats, expected: str) -> DataError:
    """Error for an array of a wrong shape."""
    return DataError(f"{name!r} has the wrong shape", given=f"{values.shape}", expected=expected)
