"""Parquet files as hubs offer them: columns of ColabFit and of LeMaterial, values that are missing, and damage."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equisparse.data.labels import LabelKeys, LabelUnits
from equisparse.data.parquet import parquet_structures
from equisparse.data.read import read_frames
from equisparse.errors import DataError, MissingPackageError
from equisparse.units import STRESS_UNITS

pyarrow = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.parquet")

CELL = (4.0 * np.eye(3)).tolist()
POSITIONS = [[0.0, 0.0, 0.0], [1.0, 0.5, 0.25], [2.0, 2.0, 2.5]]
FORCES = [[0.1, 0.2, 0.3], [0.0, -0.2, 0.0], [-0.1, 0.0, -0.3]]
STRESS = [[1.0, 0.1, 0.2], [0.1, 2.0, 0.3], [0.2, 0.3, 3.0]]


def colabfit(index: int) -> dict[str, Any]:
    """Row of a data set of ColabFit."""
    return {
        "property_id": f"PO_{index}",
        "atomic_numbers": [12, 8, 8],
        "positions": POSITIONS,
        "cell": CELL,
        "pbc": [True, True, False],
        "energy": -1.0 - index,
        "atomic_forces": FORCES,
        "cauchy_stress": STRESS if index else None,
        "names": [f"frame {index}"],
    }


def lematerial(index: int) -> dict[str, Any]:
    """Row of a data set of LeMaterial."""
    return {
        "species_at_sites": ["Mg", "O", "O"],
        "cartesian_site_positions": POSITIONS,
        "lattice_vectors": CELL,
        "species": "[{'mass': null, 'name': 'Mg'}]",
        "energy": -2.0,
        "forces": FORCES,
        "stress_tensor": STRESS,
        "functional": "pbe",
        "magnetic_moments": [0.0, 0.1, 0.2],
    }


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    """File of rows."""
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def test_columns_of_colabfit(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", [colabfit(index) for index in range(600)])
    frames = read_frames(path, LabelKeys(stress="cauchy_stress"))
    assert [frame.energy for frame in frames] == [-1.0 - index for index in range(600)]
    last = frames[-1]
    assert last.index == 599
    assert last.atoms.get_chemical_symbols() == ["Mg", "O", "O"]
    assert last.atoms.pbc.tolist() == [True, True, False]
    np.testing.assert_array_equal(last.atoms.positions, POSITIONS)
    np.testing.assert_array_equal(last.atoms.cell.array, CELL)
    np.testing.assert_array_equal(last.forces, FORCES)
    np.testing.assert_array_equal(last.stress, STRESS)
    assert frames[0].stress is None
    assert last.atoms.info == {"property_id": "PO_599"}


def test_columns_of_lematerial_and_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "train"
    folder.mkdir(parents=True)
    for part in range(2):
        written(folder / f"000{part}.parquet", [lematerial(index) for index in range(2)])
    units = LabelUnits(stress="kbar", stress_sign="opposite")
    frames = read_frames(tmp_path / "set", LabelKeys(stress="stress_tensor"), units)
    assert [(Path(frame.source).name, frame.index) for frame in frames] == [
        *(("0000.parquet", 0), ("0000.parquet", 1)),
        *(("0001.parquet", 0), ("0001.parquet", 1)),
    ]
    assert frames[3].atoms.pbc.all()
    assert frames[3].atoms.info["functional"] == "pbe"
    np.testing.assert_array_equal(frames[3].forces, FORCES)
    np.testing.assert_allclose(frames[3].stress, -STRESS_UNITS["kbar"] * np.array(STRESS))
    assert read_frames(tmp_path / "set")[0].stress is None  # its unit and sign are not known


def test_a_stress_of_an_unnamed_column_is_not_guessed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", [colabfit(1)])
    assert read_frames(path)[0].stress is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": None}, r"frame 1: there are no positions"),
        ({"atomic_numbers": [12, 8]}, r"frame 1: elements and positions do not fit"),
    ],
)
def test_a_row_that_is_no_structure_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", [colabfit(0), colabfit(1) | changes])
    with pytest.raises(DataError, match=message):
        list(parquet_structures(str(path)))


@pytest.mark.parametrize("column", ["atomic_numbers", "positions"])
def test_a_missing_column_is_named_with_those_that_are_there(column: str, tmp_path: Path) -> None:
    row = {name: value for name, value in colabfit(1).items() if name != column}
    with pytest.raises(DataError, match=r"has no column of (elements|positions)") as error:
        read_frames(written(tmp_path / "ds.parquet", [row]))
    assert "cauchy_stress" in str(error.value)
    assert column in str(error.value)


def test_damaged_and_empty_files_are_refused(tmp_path: Path) -> None:
    whole = written(tmp_path / "a.parquet", [colabfit(1)]).read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"Cannot read .*cut\.parquet"):
        read_frames(tmp_path / "cut.parquet")
    schema = pyarrow.Table.from_pylist([colabfit(1)]).schema
    pyarrow.parquet.write_table(schema.empty_table(), tmp_path / "none.parquet")
    with pytest.raises(DataError, match="has no frames"):
        read_frames(tmp_path / "none.parquet")


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.parquet", [colabfit(1)])
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingPackageError, match="pip install pyarrow"):
        read_frames(path)
