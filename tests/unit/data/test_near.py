"""Near and equal frames among many: the groups of a slow twin, dense clouds at little cost, and frames on the disk."""

import numpy as np
import pytest
from ase.build import molecule

from equisparse.data.audit.context import FrameSet
from equisparse.data.audit.duplicates import duplicate_groups
from equisparse.data.audit.registry import audit
from equisparse.data.frames import LabelledFrame
from equisparse.data.kept import kept
from equisparse.data.linking import Indices, spanning_links
from equisparse.data.near import joined_groups, near_pairs


@pytest.mark.parametrize("seed", range(5))
def test_links_connect_the_groups_of_a_slow_twin(seed: int) -> None:
    points = np.random.default_rng(seed).uniform(size=(60, 2)) * 1.5
    apart = np.abs(points[:, None] - points).max(axis=-1)
    links = list(spanning_links(points, 0.15, lambda row, others: apart[row, others] <= 0.15))
    expected = joined_groups(60, ((row, np.flatnonzero(apart[row] <= 0.15)) for row in range(60)))
    assert joined_groups(60, links) == expected
    assert sum(len(others) for _, others in links) == 60 - len(expected)


def test_every_point_of_a_dense_cloud_is_compared_about_once() -> None:
    compared = 0

    def linked(row: int, others: Indices) -> np.ndarray:
        nonlocal compared
        compared += len(others)
        return np.ones(len(others), dtype=np.bool_)

    points = np.random.default_rng(0).normal(0, 0.3, (3000, 2))
    assert sum(len(others) for _, others in spanning_links(points, 1.0, linked)) == 2999
    assert compared < 5000


def test_descriptors_that_are_read_by_index_give_the_same_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    values = [rng.uniform(0, 0.06, 8).astype(np.float32) for _ in range(80)]
    whole = joined_groups(80, near_pairs([b"x"] * 80, values))
    monkeypatch.setattr("equisparse.data.near._MOST_KEPT", 1)
    assert joined_groups(80, near_pairs([b"x"] * 80, values)) == whole
    assert 1 < len(whole) < 80


def copies(periodic: bool) -> list[LabelledFrame]:
    """Three structures, each with several copies that lattice vectors, or differences below 1e-4 Angstrom, change."""
    rng, frames = np.random.default_rng(3), []
    for index in range(12):
        atoms = molecule("CH3OH", vacuum=3.0, pbc=periodic)
        atoms.positions += 0.01 * (index % 3) * np.arange(6)[:, None] + rng.uniform(-4e-5, 4e-5, (6, 3))
        if periodic:
            atoms.positions[index % 6] += atoms.cell[index % 3]
        frames.append(LabelledFrame(atoms, source="a.xyz", index=index))
    return frames


@pytest.mark.parametrize("periodic", [False, True])
def test_equal_structures_are_found_among_near_ones(periodic: bool) -> None:
    groups = duplicate_groups(FrameSet("train", copies(periodic), None))
    assert groups == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]


def test_frames_on_the_disk_have_the_same_findings(healthy: list[LabelledFrame]) -> None:
    frames = [*healthy, *healthy[:4]]
    spooled = kept(frames[:], 0)
    assert not isinstance(spooled, list)
    findings = audit(frames, healthy[:3])
    assert audit(spooled, kept(healthy[:3], 0)) == findings
    assert {"duplicate-frames", "valid-in-train"} <= {finding.code for finding in findings}
