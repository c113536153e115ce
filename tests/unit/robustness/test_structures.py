"""Probe structures: repeatable, disjoint, sane, and of known elements only."""

import numpy as np
import pytest
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from equisparse.robustness.structures import Draw, compounds, element_lattices, molecules, probe_structures

ALL = range(1, 95)


@pytest.mark.parametrize("draw", ["measure", "learn"])
def test_a_draw_is_always_the_same(draw: Draw) -> None:
    for first, second in zip(probe_structures(ALL, draw), probe_structures(ALL, draw), strict=True):
        assert first == second
        assert first.info == second.info


def test_draws_share_no_compound_no_molecule_and_no_positions() -> None:
    measure, learn = probe_structures(ALL, "measure"), probe_structures(ALL, "learn")
    names = [{atoms.info["name"] for atoms in part if atoms.info["kind"] != "element"} for part in (measure, learn)]
    assert min(map(len, names)) > 90
    assert not names[0] & names[1]
    by_name = {atoms.info["name"]: atoms for atoms in learn}
    for atoms in measure:
        if atoms.info["kind"] == "element":
            assert np.abs(atoms.positions - by_name[atoms.info["name"]].positions).max() > 1e-3


def test_only_known_elements() -> None:
    found = probe_structures({1, 8, 12}, "measure")
    assert {z for atoms in found for z in atoms.numbers.tolist()} == {1, 8, 12}
    assert "Mg" in {atoms.info["name"] for atoms in found}


def test_names_are_unique_and_every_element_to_plutonium_but_a_few_occurs() -> None:
    whole = [*element_lattices(), *compounds(), *molecules()]
    assert len({atoms.info["name"] for atoms in whole}) == len(whole)
    missing = set(ALL) - {z for atoms in whole for z in atoms.numbers.tolist()}
    assert missing == {85, 86, 87, 88}  # At, Rn, Fr, Ra: no base knows them


def test_distances_are_those_of_matter() -> None:
    noble = {2, 10, 18, 36, 54}
    for atoms in [*element_lattices(), *compounds(), *molecules()]:
        i, j, d = neighbor_list("ijd", atoms, 5.6)
        ratio = (d / (covalent_radii[atoms.numbers[i]] + covalent_radii[atoms.numbers[j]])).min()
        assert ratio > 0.68, atoms.info["name"]
        assert ratio < 1.35 or set(atoms.numbers.tolist()) <= noble, atoms.info["name"]
