"""Laws of registered quantities, as functions: ``for law in QUANTITY_LAWS: law(quantity)``.

They need no model. Each law raises AssertionError if it is violated.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.labels import LabelKeys
from equisparse.data.read import label_frames, read_frames
from equisparse.errors import DataError
from equisparse.quantities import ENERGY, FORCES, STRESS, Quantity, find_quantity, shown_errors
from equisparse.run.predictions import load_predictions, save_predictions, split_predictions

QuantityLaw = Callable[[Quantity], None]
"""A law of one registered quantity."""


def names_are_its_own(quantity: Quantity) -> None:
    """The quantity is found by its name, and the names of its errors belong to it alone."""
    assert find_quantity(quantity.name) == quantity
    names = [error.name for error in shown_errors()]
    for error in quantity.errors:
        assert names.count(error.name) == 1, f"{error.name} is the name of several errors"
        assert error.name.isidentifier(), f"{error.name} is not a valid name of a column"


def labels_are_read_from_files(quantity: Quantity) -> None:
    """A label is read from an extxyz file under each of its usual names, and taken off the structure."""
    for key in quantity.label_keys:
        labelled, values = _structures(quantity, key)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "frames.extxyz"
            ase.io.write(path, [*labelled, Atoms("OH2", labelled[0].positions)], format="extxyz")
            *frames, without = read_frames(path, LabelKeys(magnetic=quantity.needs_spins))
        assert quantity not in without.labels, f"a frame without {key} has a label"
        for frame, value in zip(frames, values, strict=True):
            _require_label(frame, quantity, key, value)


def wrong_shapes_are_refused(quantity: Quantity) -> None:
    """A label of another shape is an error."""
    key = quantity.label_keys[0]
    atoms = Atoms("OH2", np.eye(3))
    shape = (quantity.size + 1,)
    _put(atoms, quantity, key, np.ones((len(atoms), *shape) if quantity.per == "atom" else shape))
    try:
        label_frames([atoms], LabelKeys(magnetic=quantity.needs_spins))
    except DataError:
        return
    raise AssertionError(f"a label {key} of shape {shape} was read")


def predictions_are_stored(quantity: Quantity) -> None:
    """Labels and predictions of a split are the same after they were written to the folder of a run and read."""
    labelled, values = _structures(quantity, quantity.label_keys[0])
    frames = label_frames(labelled, LabelKeys(magnetic=quantity.needs_spins))
    n_frames, n_atoms = len(frames), sum(frame.n_atoms for frame in frames)
    joined = np.concatenate(values) if quantity.per == "atom" else np.stack(values)
    always = {one: np.zeros((one.count(n_frames, n_atoms), *one.shape)) for one in (ENERGY, FORCES, STRESS)}
    before, after = always | {quantity: joined + 1}, always | {quantity: joined - 1}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.npz"
        save_predictions(split_predictions(frames, before, after, {}), path)
        stored = load_predictions(path)
    for name, expected in (("labels", joined), ("before", joined + 1), ("after", joined - 1)):
        np.testing.assert_allclose(getattr(stored, name)[quantity], expected, rtol=1e-5, atol=1e-5, err_msg=name)


QUANTITY_LAWS: tuple[QuantityLaw, ...] = (
    names_are_its_own,
    labels_are_read_from_files,
    wrong_shapes_are_refused,
    predictions_are_stored,
)
"""All laws."""


def _structures(quantity: Quantity, key: str) -> tuple[list[Atoms], list[Floats]]:
    """Three molecules with a label under a name, and its values."""
    random = np.random.default_rng(0)
    structures, values = [], []
    for _ in range(3):
        atoms = Atoms("OH2", random.normal(size=(3, 3)))
        value = random.normal(size=(len(atoms), *quantity.shape) if quantity.per == "atom" else quantity.shape)
        _put(atoms, quantity, key, value)
        structures.append(atoms)
        values.append(np.asarray(value))
    return structures, values


def _put(atoms: Atoms, quantity: Quantity, key: str, value: NDArray[np.float64]) -> None:
    """Store a label where extxyz files have it."""
    if quantity.per == "atom":
        atoms.arrays[key] = value
    else:
        atoms.info[key] = value if value.ndim else float(value)


def _require_label(frame: LabelledFrame, quantity: Quantity, key: str, value: Floats) -> None:
    """Raise AssertionError unless a frame has a label, and its structure does not have it any more."""
    assert quantity in frame.labels, f"{key} was not read"
    label = frame.labels[quantity]
    assert label.dtype == np.float64, label.dtype
    np.testing.assert_allclose(label, value, rtol=1e-6, atol=1e-7, err_msg=key)
    assert key not in {*frame.atoms.info, *frame.atoms.arrays}, f"{key} was left in the structure"
