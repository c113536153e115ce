"""Weights in the loss that a frame stores: of the whole configuration, and of each kind of label."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from equisparse.data.stored import Stored, StoredValue, numbers
from equisparse.errors import DataError
from equisparse.quantities import Quantity, all_quantities

FRAME = "configuration"
"""Kind of the weight of a whole frame."""

UNCLEAR = "unclear"
"""Kind of a weight whose name does not say what it weighs; it must be 1."""

_FRAME_NAMES = ("config", "configuration", "data", "frame", "sample", "structure", "loss")
_ALONE = ("weight", "weights")
_WORDS = {*_ALONE, "w"}
_NAME = re.compile(r"(?:(?:config|configuration|ref|dft|loss)_)?(.+?)_?weights?|weights?_(.+)", re.IGNORECASE)


@dataclass(frozen=True)
class FrameWeights:
    """Weights of one frame.

    Parameters
    ----------
    kinds : mapping of str to float
        `FRAME`, singular of a quantity, or ``virial`` -> weight, at least 0; absent ones are 1.
    """

    kinds: Mapping[str, float] = field(default_factory=dict)

    def of(self, quantity: Quantity, name: str) -> float:
        """Weight of the label that is stored under a name: that of the frame times that of its kind."""
        return self.kinds.get(FRAME, 1.0) * self.kinds.get(label_kind(quantity, name), 1.0)


def label_kind(quantity: Quantity, name: str) -> str:
    """Kind of a label: the singular of its quantity, or ``virial`` for a stress that is stored as a virial."""
    return "virial" if "virial" in name.lower() else quantity.singular


def read_weights(stored: Stored) -> FrameWeights:
    """Weights of one frame: ``config_weight``, ``config_energy_weight``, ``forces_weight`` and similar names.

    Raises
    ------
    DataError
        If a weight is not one finite number of at least 0, two names of one weight contradict each other, or a name
        such as ``weight`` does not say what is meant.
    """
    found: dict[str, tuple[StoredValue, float]] = {}
    for name, values in stored.items():
        kind = weight_kind(name)
        for value in values if kind else ():
            weight = _weight(value)
            if weight != 1 and kind == UNCLEAR:
                raise _unclear(value)
            if kind in found and found[kind][1] != weight:
                raise _contradicting(found[kind][0], value)
            found[kind] = (value, weight)
    return FrameWeights({kind: weight for kind, (_, weight) in found.items() if weight != 1.0})


def weight_kind(name: str) -> str:
    """Kind that a name of a weight means; `UNCLEAR` if it does not say which, an empty text if it is no such name.

    >>> [weight_kind(name) for name in ("config_weight", "config_virials_weight", "force_weight", "my_weight")]
    ['configuration', 'virial', 'force', '']
    >>> [weight_kind(name) for name in ("weight", "w_energy", "energy_weight_factor")]
    ['unclear', 'unclear', 'unclear']
    """
    match, kinds = _NAME.fullmatch(name), _kinds()
    if match and (kind := kinds.get((match[1] or match[2]).lower(), "")):
        return kind
    words = set(name.lower().split("_"))
    return UNCLEAR if name.lower() in _ALONE or (words & _WORDS and words & kinds.keys()) else ""


def _kinds() -> dict[str, str]:
    """Words before ``_weight`` -> kind."""
    quantities = {word: q.singular for q in all_quantities() for word in (q.name, q.singular)}
    virials = dict.fromkeys(("virial", "virials"), "virial")
    return quantities | virials | {"stresses": "stress", "energies": "energy"} | dict.fromkeys(_FRAME_NAMES, FRAME)


def _weight(stored: StoredValue) -> float:
    """Value of a weight."""
    values = numbers(stored)
    weights = np.unique(values)
    if weights.size != 1 or (values.size != 1 and weights[0] != 1) or not 0 <= weights[0] < np.inf:
        raise DataError(
            f"The weight {stored.name!r} is not usable.",
            given=f"{stored.value!r}"[:80] + (f", shape {values.shape}" if values.size != 1 else ""),
            expected="one finite number of at least 0 for the frame; 0 means that the frame has no such label",
            next_step="correct the value, or remove or rename the key",
        )
    return float(weights[0])


def _unclear(stored: StoredValue) -> DataError:
    """Error for a name that does not say which weight it is."""
    return DataError(
        f"The name {stored.name!r} does not say which weight it is.",
        given=f"{stored.value!r}"[:80],
        next_step="rename it: to config_weight, config_energy_weight, config_forces_weight or config_stress_weight if "
        "it is a weight in the loss, to a name without 'weight' if not",
    )


def _contradicting(first: StoredValue, second: StoredValue) -> DataError:
    """Error for two names of one weight."""
    return DataError(
        "Two stored weights contradict each other.",
        given=f"{first} is {first.value!r}, {second} is {second.value!r}",
        next_step="remove one of them",
    )
