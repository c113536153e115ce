"""Weights that frames store: 0 is no label, others are applied in the loss."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from equisparse.data.frames import LabelledFrame
from equisparse.data.read import label_frames, read_frames
from equisparse.data.weights import weight_kind
from equisparse.inputs.frames import write_frames
from equisparse.quantities import ENERGY, FORCES, STRESS


def structure(**info: object) -> Atoms:
    """Two atoms with all labels."""
    labels = {"REF_energy": -3.5, "REF_stress": np.eye(3)}
    atoms = Atoms("MgO", [[0, 0, 0], [0, 0, 2]], cell=4 * np.eye(3), pbc=True, info=labels | info)
    atoms.arrays["REF_forces"] = np.ones((2, 3))
    return atoms


def labelled(**info: object) -> LabelledFrame:
    """The structure as a labelled frame."""
    return label_frames([structure(**info)])[0]


@pytest.mark.parametrize(
    ("info", "kept", "weights"),
    [
        ({}, {ENERGY, FORCES, STRESS}, {}),
        ({"config_weight": 1.0}, {ENERGY, FORCES, STRESS}, {}),
        ({"config_weight": 2}, {ENERGY, FORCES, STRESS}, {ENERGY: 2.0, FORCES: 2.0, STRESS: 2.0}),
        ({"config_weight": 0}, set(), {ENERGY: 0.0, FORCES: 0.0, STRESS: 0.0}),
        ({"config_energy_weight": 0.0}, {FORCES, STRESS}, {ENERGY: 0.0}),
        ({"energy_weight": 0.5, "config_weight": 3}, {ENERGY, FORCES, STRESS}, {ENERGY: 1.5, FORCES: 3, STRESS: 3}),
        ({"config_forces_weight": 0}, {ENERGY, STRESS}, {FORCES: 0.0}),
        ({"force_weight": 4}, {ENERGY, FORCES, STRESS}, {FORCES: 4.0}),
        ({"config_stress_weight": 0, "config_virials_weight": 1}, {ENERGY, FORCES}, {STRESS: 0.0}),
        ({"config_virials_weight": 0}, {ENERGY, FORCES, STRESS}, {}),
        ({"data_weight": 0.25}, {ENERGY, FORCES, STRESS}, {ENERGY: 0.25, FORCES: 0.25, STRESS: 0.25}),
    ],
)
def test_labels_and_weights(info: dict[str, float], kept: set[object], weights: dict[object, float]) -> None:
    frame = labelled(**info)
    assert set(frame.labels) == kept
    assert frame.weights == weights


def test_a_virial_with_weight_zero_gives_way_to_the_stress() -> None:
    frame = labelled(REF_virial=np.zeros((3, 3)), config_virials_weight=0)
    assert frame.names["stress"] == "REF_stress"
    frame = labelled(REF_virial=-64 * 2 * np.eye(3), config_stress_weight=0)
    np.testing.assert_allclose(frame.labels[STRESS], 2 * np.eye(3))


@pytest.mark.parametrize("name", ["weights_path", "my_weight", "molecular_weight", "config_type", "weightless", ""])
def test_other_names_are_no_weights(name: str) -> None:
    assert weight_kind(name) == ""


@pytest.mark.parametrize(
    "info", [{"config_weight": 0.5}, {"config_energy_weight": 0}, {"energy_weight": 2, "virial_weight": 3}]
)
def test_weights_are_written_with_the_frames(info: dict[str, float], tmp_path: Path) -> None:
    frame = labelled(**info)
    (again,) = read_frames(write_frames(tmp_path / "a.extxyz", [frame]))
    assert set(again.labels) == set(frame.labels)
    used = {quantity: weight for quantity, weight in frame.weights.items() if weight}
    assert {quantity: weight for quantity, weight in again.weights.items() if weight} == used
