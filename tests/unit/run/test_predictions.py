"""Labels and predictions of a split do not depend on how many frames are read at once."""

import numpy as np
import pytest
from ase.build import molecule

from equisparse.data.frames import LabelledFrame
from equisparse.quantities import ENERGY, FORCES, STRESS
from equisparse.run import predictions
from equisparse.run.predictions import SplitPredictions, split_predictions


def of_molecules() -> SplitPredictions:
    """Predictions of five molecules of different sizes."""
    names = ["H2O", "CH4", "C2H6", "CO", "NH3"]
    frames = [LabelledFrame(molecule(name), {ENERGY: np.float64(-1.0)}, f"{name}.xyz", 3) for name in names]
    n_atoms = sum(frame.n_atoms for frame in frames)
    predicted = {ENERGY: np.arange(5.0), FORCES: np.zeros((n_atoms, 3)), STRESS: np.zeros((5, 3, 3))}
    return split_predictions(frames, predicted, predicted, {1: 0.5})


@pytest.mark.parametrize("size", [1, 2, 5])
def test_blocks_of_frames_are_joined_in_order(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = of_molecules()
    monkeypatch.setattr(predictions, "_BLOCK", size)
    parts = of_molecules()
    for name in ("source", "config_type", "index", "n_atoms", "numbers", "positions", "cell"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    np.testing.assert_array_equal(parts.after[ENERGY], [1.0, 3.0, 5.0, 3.0, 5.5])  # 0.5 eV for each H
    assert list(parts.source) == ["H2O.xyz", "CH4.xyz", "C2H6.xyz", "CO.xyz", "NH3.xyz"]
