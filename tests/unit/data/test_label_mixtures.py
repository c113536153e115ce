"""Drawn mixtures of labels, names and weights: refused, or read without any loss. Ten thousand: see tests/fuzz."""

import runpy
from pathlib import Path

import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given
from hypothesis import strategies as st

from equisparse.data.read import label_frames
from equisparse.errors import DataError

SCRIPT = Path(__file__).parents[2] / "fuzz" / "label_files.py"


def test_drawn_files_are_refused_or_read_without_loss() -> None:
    seen = runpy.run_path(str(SCRIPT))["fuzz"](250)
    assert seen["read"] > 50
    assert seen["refused"] > 50


@given(st.lists(st.sampled_from([None, -3.5, -3.6]), min_size=4, max_size=4))
def test_one_name_in_several_places_must_have_one_value(values: list[float | None]) -> None:
    info, pair, data, result = values
    atoms = Atoms("H", info={"key_value_pairs": {"energy": pair}, "data": {"energy": data}, "energy": info})
    atoms.calc = SinglePointCalculator(atoms, energy=result)
    given_values = [value for value in values if value is not None]
    if len(set(given_values)) > 1:
        with pytest.raises(DataError, match="energy stored more than once"):
            label_frames([atoms])
    else:
        assert label_frames([atoms])[0].energy == (given_values[0] if given_values else None)
