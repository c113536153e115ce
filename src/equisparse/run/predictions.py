"""Labels and predictions of one split, before and after fine-tuning: one compressed file of plain arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equisparse.data.frames import LabelledFrame
from equisparse.files import replacing
from equisparse.inference.dataset import join_labels, reference_energy
from equisparse.quantities import ENERGY, FORCES, STRESS, Quantity, all_quantities

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Strings = NDArray[np.str_]


_FRAMES = ("source", "config_type", "index", "n_atoms", "numbers", "positions", "cell")
"""Arrays that describe the frames, in the order of a file."""
_ALWAYS = (ENERGY, FORCES, STRESS)
"""Quantities that are written even without labels."""
_BLOCK = 1000
"""Frames in memory at once, where they are read from a disk."""


@dataclass(frozen=True, eq=False)
class SplitPredictions:
    r"""Frames of one split with labels and predictions.

    In a file, label and predictions of a quantity are the arrays ``<name>``, ``<name>_before`` and ``<name>_after``.

    Parameters
    ----------
    source, config_type : array of str, shape (n_frames,)
        File, and the frame's ``config_type``, empty if it has none.
    index : array of int, shape (n_frames,)
        Index of the frame in its file, from 0.
    n_atoms : array of int, shape (n_frames,)
    numbers : array of int, shape (n_all_atoms,)
        Atomic numbers of all frames, one after the other.
    positions : array, shape (n_all_atoms, 3), Angstrom
    cell : array, shape (n_frames, 3, 3), Angstrom
        Lattice vectors as rows; zero without a lattice.
    labels, before, after : mapping of Quantity to array, shape (n_frames, ...) or (n_all_atoms, ...)
        Labels (NaN where missing), predictions of the base with refitted reference energies, and predictions of the
        fine-tuned model. All three have the same quantities. If the sign of the moments of a frame is arbitrary,
        predictions have the sign that is closer to the label. Before training, moments are the input spins.
    """

    source: Strings
    config_type: Strings
    index: Integers
    n_atoms: Integers
    numbers: Integers
    positions: Floats
    cell: Floats
    labels: Mapping[Quantity, Floats]
    before: Mapping[Quantity, Floats]
    after: Mapping[Quantity, Floats]

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.n_atoms)

    @property
    def frame_of_atom(self) -> Integers:
        """Frame of every atom, shape (n_all_atoms,)."""
        return np.repeat(np.arange(self.n_frames), self.n_atoms)

    def atoms_of(self, frame: int) -> slice:
        """Range of the atoms of one frame."""
        first = int(self.n_atoms[:frame].sum())
        return slice(first, first + int(self.n_atoms[frame]))

    def per_atom(self, quantity: Quantity, values: Floats) -> Floats:
        """Values divided by the number of atoms if the quantity is extensive."""
        return np.asarray(values / self.n_atoms) if quantity.extensive else values


def split_predictions(
    frames: Sequence[LabelledFrame],
    before: Mapping[Quantity, Floats],
    after: Mapping[Quantity, Floats],
    shifts: Mapping[int, float],
) -> SplitPredictions:
    """Arrays of one split: of energy, forces and stress in any case, of other quantities where there are labels.

    Parameters
    ----------
    frames : sequence of LabelledFrame
    before, after : mapping of Quantity to array
        Predictions of these frames by the base and by the fine-tuned model, with the base's own reference energies, as
        `equisparse.inference.predict.evaluate` returns them.
    shifts : mapping of int to float
        Atomic number -> shift of its reference energy, eV, which is added to both.
    """
    blocks = [_described(frames[first : first + _BLOCK], shifts) for first in range(0, len(frames), _BLOCK)]
    described = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    shift = described.pop("shift")
    labels = {quantity: np.full_like(after[quantity], np.nan) for quantity in _ALWAYS} | join_labels(frames)
    written = [q for q in all_quantities() if q in labels and q in before and q in after]
    return SplitPredictions(
        **described,
        labels={quantity: labels[quantity] for quantity in written},
        before={quantity: before[quantity] for quantity in written} | {ENERGY: before[ENERGY] + shift},
        after={quantity: after[quantity] for quantity in written} | {ENERGY: after[ENERGY] + shift},
    )


def _described(frames: Sequence[LabelledFrame], shifts: Mapping[int, float]) -> dict[str, Any]:
    """Where some frames are from, their structures, and the shift of the energy of each, eV."""
    return {
        "source": np.array([Path(frame.source).name for frame in frames]),
        "config_type": np.array([str(frame.atoms.info.get("config_type", "")) for frame in frames]),
        "index": np.array([frame.index for frame in frames]),
        "n_atoms": np.array([frame.n_atoms for frame in frames]),
        "numbers": np.concatenate([frame.numbers for frame in frames]),
        "positions": np.concatenate([frame.positions for frame in frames]),
        "cell": np.stack([frame.cell for frame in frames]),
        "shift": np.array([reference_energy(frame.atoms, shifts) for frame in frames]),
    }


def save_predictions(predictions: SplitPredictions, path: Path) -> None:
    """Write all arrays to one ``.npz`` file."""
    arrays = {name: getattr(predictions, name) for name in _FRAMES}
    for quantity, label in predictions.labels.items():
        arrays[quantity.name] = label
        arrays[f"{quantity.name}_before"] = predictions.before[quantity]
        arrays[f"{quantity.name}_after"] = predictions.after[quantity]
    with replacing(path) as file:
        np.savez_compressed(file, **arrays)


def load_predictions(path: Path) -> SplitPredictions:
    """Read what `save_predictions` wrote; arrays of quantities that are not registered are left out."""
    with np.load(path, allow_pickle=False) as arrays:
        known = [quantity for quantity in all_quantities() if quantity.name in arrays]
        return SplitPredictions(
            **{name: arrays[name] for name in _FRAMES},
            labels={quantity: arrays[quantity.name] for quantity in known},
            before={quantity: arrays[f"{quantity.name}_before"] for quantity in known},
            after={quantity: arrays[f"{quantity.name}_after"] for quantity in known},
        )
