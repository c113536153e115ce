"""Counts of labels: names per frame, weights, what is not read, and frames that cannot be judged."""

import numpy as np
import pytest
from ase import Atoms

from equisparse.data.read import label_frames
from equisparse.data.summary import count_frame_labels, describe_labels, names_not_read, require_usable_labels
from equisparse.errors import DataError


def structure(forces: str = "forces", **info: object) -> Atoms:
    """Two atoms in a cell of 64 Angstrom^3, with forces under a name."""
    atoms = Atoms("MgO", [[0, 0, 0], [0, 0, 2]], cell=4 * np.eye(3), pbc=True, info=info)
    if forces:
        atoms.arrays[forces] = np.full((2, 3), 0.5)
    return atoms


def test_names_are_found_for_each_frame() -> None:
    stress = np.diag([0.1, 0.2, 0.3])
    frames = label_frames([structure(stress=stress), structure("force", virial=-64 * stress)] * 3)
    for frame in frames:
        np.testing.assert_allclose(frame.stress, stress)
        assert frame.forces is not None
    energy, forces, stresses = count_frame_labels(frames)
    assert (energy.quantity, energy.frames, energy.names) == ("energy", 0, {})
    assert (forces.frames, forces.names) == (6, {"forces": 3, "force": 3})
    assert stresses.names == {"stress": 3, "virial": 3}
    assert describe_labels(frames) == (
        "6 frames: energy 0, forces 6 as forces (3) and force (3), stress 6 as stress (3) and virial (3)"
    )


def test_what_is_not_used_is_told() -> None:
    frames = label_frames(
        [
            structure(REF_energy=-1.0, config_energy_weight=0, total_energy=-5.0),
            structure(REF_energy=-1.0, config_weight=2.0, energy_sigma=0.1),
            structure("", REF_stress=np.eye(3)),
        ]
    )
    frames[2].atoms.pbc = False
    energy, forces, stress = count_frame_labels(frames)
    assert (energy.frames, energy.weight_0, energy.weighted) == (1, 1, 1)
    assert (forces.frames, forces.weighted) == (2, 1)
    assert (stress.frames, stress.without_cell) == (0, 1)
    assert names_not_read(frames) == {"energy_sigma": 1, "total_energy": 1}
    text = describe_labels(frames)
    assert "energy 1 as REF_energy (1 with weight 0, not used; 1 with another weight)" in text
    assert "stress 0 (1 without a cell, not used); not read: energy_sigma (1), total_energy (1)" in text


def test_frames_without_labels_are_refused_with_their_names() -> None:
    with pytest.raises(DataError, match=r"None of the 2 frames has a label(.|\n)*total_energy(.|\n)*--energy-key"):
        require_usable_labels(label_frames([structure("", total_energy=-5.0)] * 2))
    lone = structure("", REF_stress=np.eye(3))
    lone.pbc = False
    with pytest.raises(DataError, match="The frame has no label"):
        require_usable_labels(label_frames([lone]))


def test_labels_that_are_not_finite_are_refused_by_frame() -> None:
    good, bad = structure(REF_energy=-1.0), structure(REF_energy=np.nan)
    with pytest.raises(DataError, match=r"memory, frame 1: the energy label is NaN or infinite(.|\n)*REF_energy"):
        require_usable_labels(label_frames([good, bad]))
    require_usable_labels(label_frames([good, good]))
