"""Probe structures: repeatable, disjoint, sane, and of known elements only."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from equisparse.robustness.structures import PROBE_FILE, Draw, probe_structures

ALL = range(1, 95)
RECIPE = Path(__file__).parents[3] / "scripts" / "make_probe_structures.py"


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    """The script that made the packaged file."""
    spec = importlib.util.spec_from_file_location("make_probe_structures", RECIPE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("draw", ["measure", "learn"])
def test_a_draw_is_always_the_same(draw: Draw) -> None:
    for first, second in zip(probe_structures(ALL, draw), probe_structures(ALL, draw), strict=True):
        assert first == second
        assert first.info == second.info


@pytest.mark.parametrize("draw", ["measure", "learn"])
def test_the_packaged_file_is_what_the_recipe_makes(recipe: ModuleType, draw: Draw) -> None:
    made = list(recipe.draw_structures(draw))
    packaged = probe_structures(ALL, draw)
    assert [atoms.info["name"] for atoms in packaged] == [atoms.info["name"] for atoms in made]
    for index in (0, 40, 90, len(made) - 1):
        for ours, theirs in (
            (packaged[index].positions, made[index].positions),
            (packaged[index].cell, made[index].cell),
        ):
            assert np.abs(np.asarray(ours) - np.asarray(theirs)).max() < 1e-8
        assert packaged[index].symbols.get_chemical_formula() == made[index].symbols.get_chemical_formula()
        assert packaged[index].pbc.tolist() == made[index].pbc.tolist()
    assert PROBE_FILE.stat().st_size < 150_000


def test_structures_are_copies() -> None:
    first, second = probe_structures(ALL, "measure")[0], probe_structures(ALL, "measure")[0]
    first.positions += 1
    assert np.abs(first.positions - second.positions).min() > 0.5


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


@pytest.mark.parametrize("draw", ["measure", "learn"])
def test_a_base_of_molecules_is_probed_with_molecules(draw: Draw) -> None:
    spice = {1, 3, 6, 7, 8, 9, 11, 12, 15, 16, 17, 19, 20, 35, 53}
    for elements, least in ((spice, 20), (spice - {3, 11, 12, 19, 20}, 20), ({1, 6, 7, 8}, 10), ({1, 6}, 3)):
        found = probe_structures(elements, draw)
        assert {atoms.info["kind"] for atoms in found} == {"molecule"}
        assert len(found) >= least
    for elements in ({1, 8, 12}, {6, 14}, set(ALL)):
        assert {atoms.info["kind"] for atoms in probe_structures(elements, draw)} >= {"element"}


def test_names_are_unique_and_every_element_to_plutonium_but_a_few_occurs(recipe: ModuleType) -> None:
    whole = [*recipe.element_lattices(), *recipe.compounds(), *recipe.molecules()]
    assert len({atoms.info["name"] for atoms in whole}) == len(whole)
    missing = set(ALL) - {z for atoms in whole for z in atoms.numbers.tolist()}
    assert missing == {85, 86, 87, 88}  # At, Rn, Fr, Ra: no base knows them


def test_distances_are_those_of_matter(recipe: ModuleType) -> None:
    noble = {2, 10, 18, 36, 54}
    for atoms in [*recipe.element_lattices(), *recipe.compounds(), *recipe.molecules()]:
        i, j, d = neighbor_list("ijd", atoms, 5.6)
        ratio = (d / (covalent_radii[atoms.numbers[i]] + covalent_radii[atoms.numbers[j]])).min()
        assert ratio > 0.68, atoms.info["name"]
        assert ratio < 1.35 or set(atoms.numbers.tolist()) <= noble, atoms.info["name"]
