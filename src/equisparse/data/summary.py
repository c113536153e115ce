"""Counts of the labels of frames: under which names they were found, with which weights, and what was not read."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equisparse.data.frames import LabelledFrame, has_stress
from equisparse.data.labels import SPINS
from equisparse.data.weights import weight_kind
from equisparse.errors import DataError
from equisparse.quantities import ENERGY, FORCES, STRESS, Quantity, all_quantities
from equisparse.wording import agreeing

_LABEL_LIKE = re.compile(r"energ|force|stress|virial|weight|sigma", re.IGNORECASE)
_STRUCTURE = {"numbers", "positions"}


@dataclass(frozen=True)
class LabelCount:
    """Labels of one quantity in some frames.

    Parameters
    ----------
    quantity : str
        Name of the quantity, or ``spins`` for the input spins.
    frames : int
        Number of frames with a label that can be trained on.
    names : mapping of str to int
        Name under which the label is stored -> number of frames, among these frames.
    weight_0 : int
        Number of frames whose label is not used because its weight is 0.
    weighted : int
        Number of frames whose label has another weight than 1 and 0.
    without_cell : int
        Number of frames whose stress is not used because they have no complete cell or no periodic direction.
    """

    quantity: str
    frames: int
    names: Mapping[str, int]
    weight_0: int = 0
    weighted: int = 0
    without_cell: int = 0


def count_frame_labels(frames: Sequence[LabelledFrame]) -> list[LabelCount]:
    """Count the labels of frames; energy, forces and stress are always listed, others if any frame has them."""
    spins = Counter(frame.names[SPINS] for frame in frames if SPINS in frame.names)
    counts = [
        *(_count(quantity, frames) for quantity in all_quantities()),
        LabelCount(SPINS, spins.total(), dict(spins)),
    ]
    always = {ENERGY.name, FORCES.name, STRESS.name}
    return [count for count in counts if count.quantity in always or count.frames or count.weight_0]


def names_not_read(frames: Sequence[LabelledFrame]) -> dict[str, int]:
    """Names in info and arrays that resemble labels or weights but were not read, with their numbers of frames."""
    counts: Counter[str] = Counter()
    for frame in frames:
        named = {str(name) for name in (*frame.atoms.info, *frame.atoms.arrays)}
        counts.update(name for name in named if _LABEL_LIKE.search(name) and not weight_kind(name))
    return dict(sorted(counts.items()))


def describe_labels(frames: Sequence[LabelledFrame]) -> str:
    """One line about the labels of frames: counts, names, weights, and names that were not read.

    >>> from ase import Atoms
    >>> describe_labels([LabelledFrame(Atoms("H"))])
    '1 frame: energy 0, forces 0, stress 0'
    """
    parts = [_text(count) for count in count_frame_labels(frames)]
    unread = ", ".join(f"{name} ({count})" for name, count in names_not_read(frames).items())
    text = f"{len(frames)} frame{'' if len(frames) == 1 else 's'}: " + ", ".join(parts)
    return f"{text}; not read: {unread}" if unread else text


def require_usable_labels(frames: Sequence[LabelledFrame]) -> None:
    """Refuse frames that cannot be compared with predictions.

    Raises
    ------
    DataError
        If no frame has a label that can be used, or a label is NaN or infinite.
    """
    if not any(count.frames for count in count_frame_labels(frames)):
        names = sorted({str(name) for f in frames for name in (*f.atoms.info, *f.atoms.arrays)} - _STRUCTURE)
        raise DataError(
            agreeing(len(frames), "The frame has no", f"None of the {len(frames):,} frames has a")
            + " label to compare with.",
            given="names in the frames: " + (", ".join(names) or "none"),
            expected="an energy, forces, or the stress of a frame with a cell",
            next_step="name the labels with --energy-key, --forces-key and --stress-key",
        )
    for frame in frames:
        for quantity in (ENERGY, FORCES, STRESS):
            if not np.isfinite(frame.labels.get(quantity, 0.0)).all():
                raise DataError(
                    f"{frame.source}, frame {frame.index}: the {quantity.name} label is NaN or infinite.",
                    given=f"name {frame.names.get(quantity.name, quantity.name)!r}",
                    next_step="remove the label or the frame",
                )


def _count(quantity: Quantity, frames: Sequence[LabelledFrame]) -> LabelCount:
    """Count the labels of one quantity."""
    labelled, names, weights = 0, Counter[str](), Counter[float]()
    for frame in frames:
        weights[frame.weights.get(quantity, 1.0)] += 1
        if not np.isfinite(frame.labels.get(quantity, np.nan)).any():
            continue
        labelled += 1
        if quantity != STRESS or has_stress(frame.atoms):
            names[frame.names.get(quantity.name, quantity.name)] += 1
    return LabelCount(
        quantity=quantity.name,
        frames=names.total(),
        names=dict(names),
        weight_0=weights[0.0],
        weighted=weights.total() - weights[0.0] - weights[1.0],
        without_cell=labelled - names.total(),
    )


def _text(count: LabelCount) -> str:
    """Text about one quantity."""
    named = count.names if len(count.names) > 1 else dict.fromkeys(count.names)
    names = " and ".join(f"{name} ({n})" if n else name for name, n in named.items())
    remarks = {
        "with weight 0, not used": count.weight_0,
        "with another weight": count.weighted,
        "without a cell, not used": count.without_cell,
    }
    notes = [f"{n} {remark}" for remark, n in remarks.items() if n]
    text = f"{count.quantity} {count.frames}" + (f" as {names}" if names else "")
    return f"{text} ({'; '.join(notes)})" if notes else text
