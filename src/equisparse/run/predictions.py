"""Labels and predictions of one split, before and after fine-tuning: one compressed file of plain arrays."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equisparse.files import replacing

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Strings = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class SplitPredictions:
    """Frames of one split with what is known and what is predicted; NaN where there is no label.

    Parameters
    ----------
    source, config_type : array of str, shape (n_frames,)
        File, and the frame's ``config_type``, empty if it has none.
    index : array of int, shape (n_frames,)
        Number of the frame in its file, from 0.
    n_atoms : array of int, shape (n_frames,)
    numbers : array of int, shape (n_all_atoms,)
        Atomic numbers of all frames, one after the other.
    positions : array, shape (n_all_atoms, 3), Angstrom
    cell : array, shape (n_frames, 3, 3), Angstrom
        Lattice vectors as rows; zero without a lattice.
    energy, energy_before, energy_after : array, shape (n_frames,), eV
        Totals: label, base with refitted reference energies, fine-tuned.
    forces, forces_before, forces_after : array, shape (n_all_atoms, 3), eV/Angstrom
    stress, stress_before, stress_after : array, shape (n_frames, 3, 3), eV/Angstrom^3
    moments, moments_before, moments_after : array, shape (n_all_atoms, 3), muB, or None
        Of models that know spins; before training, moments are the input spins. Predictions of a frame are turned round
        where the sign of the whole is chance.
    """

    source: Strings
    config_type: Strings
    index: Integers
    n_atoms: Integers
    numbers: Integers
    positions: Floats
    cell: Floats
    energy: Floats
    energy_before: Floats
    energy_after: Floats
    forces: Floats
    forces_before: Floats
    forces_after: Floats
    stress: Floats
    stress_before: Floats
    stress_after: Floats
    moments: Floats | None = None
    moments_before: Floats | None = None
    moments_after: Floats | None = None

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.n_atoms)

    @property
    def frame_of_atom(self) -> Integers:
        """Frame of every atom, shape (n_all_atoms,)."""
        return np.repeat(np.arange(self.n_frames), self.n_atoms)

    @property
    def moment_components(self) -> list[Floats]:
        """Components of moments that are not zero by the choice of axes: label, before, after; empty without labels."""
        if self.moments is None or self.moments_before is None or self.moments_after is None:
            return [np.zeros(0)] * 3
        parts = [part.reshape(-1) for part in (self.moments, self.moments_before, self.moments_after)]
        shown = np.any([np.nan_to_num(part) != 0 for part in parts], axis=0)
        return [part[shown] for part in parts]

    def atoms_of(self, frame: int) -> slice:
        """Where the atoms of one frame are."""
        first = int(self.n_atoms[:frame].sum())
        return slice(first, first + int(self.n_atoms[frame]))


def save_predictions(predictions: SplitPredictions, path: Path) -> None:
    """Write all arrays to one ``.npz`` file."""
    with replacing(path) as file:
        arrays: dict[str, Any] = {name: value for name, value in vars(predictions).items() if value is not None}
        np.savez_compressed(file, **arrays)


def load_predictions(path: Path) -> SplitPredictions:
    """Read what `save_predictions` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return SplitPredictions(
            **{field.name: arrays[field.name] for field in fields(SplitPredictions) if field.name in arrays}
        )
