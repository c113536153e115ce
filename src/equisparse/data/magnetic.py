"""Input spins and moments of a frame from its stored values.

Spins are inputs: the magnetic order in which a calculation started or was constrained. Moments are results. Values
stored as ``initial_magmoms`` are only spins. Values under any other name of spins are results of a calculation, and
therefore also moments if no others are stored. Numbers are along z, with their sign. If spins are vectors and moments
are numbers, none of them negative, the numbers are magnitudes in the directions of the spins.
"""

from collections.abc import Mapping

import numpy as np

from equisparse.data.frames import Floats
from equisparse.errors import DataError

INITIAL = "initial_magmoms"
"""Array in which ASE stores the initial spins of a calculation; `read_frames` stores input spins there."""

_VISIBLE = 0.05
"""Smallest moment, muB, that needs a direction."""


def read_spins(
    names: Mapping[str, str], spins: Floats | None, moments: Floats | None, n_atoms: int
) -> tuple[Floats | None, Floats | None]:
    """Input spins and moments of one frame from its stored values.

    Parameters
    ----------
    names : mapping
        ``spins`` and ``moments`` -> name under which they are stored.
    spins, moments : array or None
        Stored values.
    n_atoms : int

    Returns
    -------
    spins : array, shape (n_atoms,) or (n_atoms, 3), muB, or None
    moments : array, shape (n_atoms, 3), muB, or None

    Raises
    ------
    DataError
        If a shape is wrong, or spins and moments follow different conventions.
    """
    spins = None if spins is None else _per_atom(spins, names["spins"], n_atoms)
    if moments is None and names.get("spins") != INITIAL:
        moments = spins
    elif moments is not None:
        moments = _directed(_per_atom(moments, names["moments"], n_atoms), spins, names)
    return spins, None if moments is None else as_vectors(moments)


def as_vectors(values: Floats) -> Floats:
    """Spins or moments as vectors, shape (n_atoms, 3); numbers, shape (n_atoms,), are along z."""
    return values if values.ndim == 2 else np.stack([np.zeros_like(values), np.zeros_like(values), values], axis=1)


def _per_atom(values: Floats, name: str, n_atoms: int) -> Floats:
    """Values with one number or one vector per atom; DataError if they have another shape."""
    if values.shape == (n_atoms, 1):
        values = values[:, 0]
    if values.shape not in ((n_atoms,), (n_atoms, 3)):
        raise _wrong_shape(name, values, f"({n_atoms},) or ({n_atoms}, 3)")
    return values


def _directed(moments: Floats, spins: Floats | None, names: Mapping[str, str]) -> Floats:
    """Moments as stored, or magnitudes with the directions of the spins."""
    if moments.ndim == 2 or spins is None or spins.ndim == 1 or not spins[:, :2].any():
        return moments
    if (moments < 0).any():
        raise DataError(
            "Spins and moments follow different conventions.",
            given=f"{names['spins']!r} with vectors, {names['moments']!r} with numbers down to {moments.min():.3g}",
            expected="vectors for both, or numbers >= 0 that are the lengths of moments along the spins",
            cause="results of a collinear calculation with the directions of another calculation",
            next_step="name the right keys with --spins-key and --moments-key",
        )
    length = np.linalg.norm(spins, axis=1)
    lost = np.flatnonzero((length == 0) & (moments > _VISIBLE))
    if lost.size:
        raise DataError(
            f"Atom {lost[0]} has a moment of {moments[lost[0]]:.3g} muB but no direction.",
            given=f"{names['moments']!r} with numbers, {names['spins']!r} with a vector of zeros",
            expected="a direction for every moment",
            next_step="store moments as vectors, or name other keys with --spins-key and --moments-key",
        )
    return np.asarray(spins * (moments / np.where(length > 0, length, 1.0))[:, None])


def _wrong_shape(name: str, values: Floats, expected: str) -> DataError:
    """Error for an array of a wrong shape."""
    return DataError(f"The label {name!r} has the wrong shape.", given=f"{values.shape}", expected=expected)
