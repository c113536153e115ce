"""Structures whose properties are computed, their names, and reference values."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from equisparse.data.frames import LabelledFrame
from equisparse.errors import InputError
from equisparse.inputs.reference_values import read_references
from equisparse.inputs.typical import named_structures, typical_structures
from equisparse.quantities import ENERGY


def frame(atoms: Atoms, energy: float | None) -> LabelledFrame:
    """A frame with an energy, eV."""
    return LabelledFrame(atoms, {} if energy is None else {ENERGY: np.array(energy)})


def test_one_structure_per_composition() -> None:
    small, large = bulk("MgO", "rocksalt", a=4.2), bulk("MgO", "rocksalt", a=4.2, cubic=True)
    water = molecule("H2O")
    frames = [
        frame(small, -11.0),
        frame(large, -48.0),
        frame(large, -40.0),
        frame(water, None),
        frame(water.copy(), -14.0),
    ]
    chosen = typical_structures(frames)
    assert [len(atoms) for atoms in chosen] == [8, 3], "the lowest energy per atom; the most frequent first"
    assert chosen[1] is frames[4].atoms


def test_names_are_formulas_or_given() -> None:
    named = bulk("Cu")
    named.info["name"] = "copper"
    structures = [bulk("MgO", "rocksalt", a=4.2, cubic=True), bulk("MgO", "rocksalt", a=4.3), named, molecule("C2H6")]
    assert list(named_structures(structures)) == ["MgO", "MgO 2", "copper", "C2H6"]


def test_reference_values_of_both_forms(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"MgO": {"c11_gpa": 297, "a_ang": 4.21}}')
    (tmp_path / "a.csv").write_text("structure,property,value\nMgO,c11_gpa,297\nMgO, a_ang, 4.21\n")
    expected = {"MgO": {"c11_gpa": 297.0, "a_ang": 4.21}}
    assert read_references(tmp_path / "a.json") == read_references(tmp_path / "a.csv") == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "[1]"),
        ("a.json", '{"MgO": 3}'),
        ("a.json", '{"MgO": {"c11_gpa": "stiff"}}'),
        ("a.json", "{"),
        ("a.csv", "structure,value\nMgO,3\n"),
        ("a.csv", "structure,property,value\nMgO,c11_gpa\n"),
        ("missing.csv", ""),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match="cannot be read"):
        read_references(tmp_path / name)
