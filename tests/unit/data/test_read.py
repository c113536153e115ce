"""Reading: every format gives the labels that were written, and what is wrong with a file is said."""

import gzip
import sys
import tempfile
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixedPlane

from equisparse.data.frames import LabelledFrame
from equisparse.data.identity import frame_digest
from equisparse.data.kept import kept
from equisparse.data.labels import LabelKeys, LabelUnits
from equisparse.data.read import read_frames, stream_frames
from equisparse.errors import DataError, MissingPackageError
from equisparse.units import matrix_to_voigt

VASPRUN = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <kpoints><varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1.0</v></varray></kpoints>
 <atominfo><atoms>2</atoms><types>1</types><array name="atoms"><set>
  <rc><c>Mg</c><c>1</c></rc><rc><c>O </c><c>2</c></rc></set></array></atominfo>
 <structure name="initialpos">
  <crystal><varray name="basis"><v>4.2 0 0</v><v>0 4.2 0</v><v>0 0 4.2</v></varray></crystal>
  <varray name="positions"><v>0 0 0</v><v>0.5 0.5 0.45</v></varray>
  <varray name="selective"><v type="logical">F F F</v><v type="logical">T T T</v></varray>
 </structure>
{steps}
</modeling>
"""
STEP = """ <calculation>
  <scstep><energy><i name="e_fr_energy">-12.0</i><i name="e_wo_entrp">-11.9</i><i name="e_0_energy">-11.95</i></energy>
  </scstep>
  <structure>
   <crystal><varray name="basis"><v>4.2 0 0</v><v>0 4.2 0</v><v>0 0 4.2</v></varray></crystal>
   <varray name="positions"><v>0 0 0</v><v>0.5 0.5 0.45</v></varray>
  </structure>
  <varray name="forces"><v>0.1 -0.2 0.3</v><v>-0.1 0.2 -0.3</v></varray>
  <varray name="stress"><v>10 0 2</v><v>0 20 0</v><v>2 0 30</v></varray>
  <energy><i name="e_fr_energy">-12.0</i><i name="e_wo_entrp">-11.9</i><i name="e_0_energy">-11.95</i></energy>
 </calculation>"""
OUTCAR, OUTCAR_STEP = ((Path(__file__).parent / "files" / f"OUTCAR-{part}").read_text() for part in ("head", "step"))
POSCAR = """MgO
1.0
4.2 0 0
0 4.2 0
0 0 4.2
Mg O
1 1
Selective dynamics
Direct
0 0 0 F F F
0.5 0.5 0.45 T T T
"""
VASP_FORCES = [[0.1, -0.2, 0.3], [-0.1, 0.2, -0.3]]


def with_results(frame: LabelledFrame) -> Atoms:
    """Give the structure its labels as calculator results, as ASE users store them."""
    atoms = frame.atoms.copy()
    stress = matrix_to_voigt(frame.stress)
    atoms.calc = SinglePointCalculator(atoms, energy=frame.energy, forces=frame.forces, stress=stress)
    return atoms


def with_ref(frame: LabelledFrame) -> Atoms:
    """Give the structure its labels under the usual REF names."""
    atoms = frame.atoms.copy()
    atoms.info |= {"REF_energy": frame.energy, "REF_stress": frame.stress, "config_type": f"kind{frame.index}"}
    atoms.arrays["REF_forces"] = frame.forces
    return atoms


def assert_same(read: list[LabelledFrame], written: list[LabelledFrame]) -> None:
    """Labels and structures agree to the digits that text files keep."""
    assert len(read) == len(written)
    for number, (a, b) in enumerate(zip(read, written, strict=True)):
        assert a.index == number
        assert a.energy == pytest.approx(b.energy, abs=1e-7)
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-7)
        np.testing.assert_allclose(a.stress, b.stress, atol=1e-7)
        np.testing.assert_allclose(a.positions, b.positions, atol=1e-7)
        assert a.atoms.calc is None
        assert not a.atoms.constraints


@pytest.mark.parametrize("name", ["a.xyz", "a.extxyz", "a.xyz.gz", "a.xyz.bz2", "a.xyz.xz", "a.traj", "a.db", "a.json"])
def test_calculator_results_survive_every_format(name: str, tmp_path: Path, healthy: list[LabelledFrame]) -> None:
    ase.io.write(tmp_path / name, [with_results(frame) for frame in healthy[:5]])
    assert_same(read_frames(tmp_path / name), healthy[:5])


@pytest.mark.parametrize("name", ["a.xyz", "a.xyz.gz"])
def test_ref_keys_are_found_and_other_info_is_kept(name: str, tmp_path: Path, healthy: list[LabelledFrame]) -> None:
    ase.io.write(tmp_path / name, [with_ref(frame) for frame in healthy[:5]])
    frames = read_frames(str(tmp_path / name))
    assert_same(frames, healthy[:5])
    assert [frame.atoms.info["config_type"] for frame in frames] == [f"kind{i}" for i in range(5)]
    assert not {"REF_energy", "REF_forces", "REF_stress"} & {*frames[0].atoms.info, *frames[0].atoms.arrays}


def test_database_pairs_and_data_are_searched(tmp_path: Path, healthy: list[LabelledFrame]) -> None:
    with ase.db.connect(tmp_path / "a.db") as database:
        database.write(healthy[0].atoms, REF_energy=-3.5, data={"REF_forces": healthy[0].forces})
    frame = read_frames(tmp_path / "a.db")[0]
    assert frame.energy == -3.5
    np.testing.assert_allclose(frame.forces, healthy[0].forces)


def test_lmdb_of_ase(tmp_path: Path, healthy: list[LabelledFrame]) -> None:
    pytest.importorskip("ase_db_backends")
    with ase.db.connect(tmp_path / "a.aselmdb") as database:
        for frame in healthy[:3]:
            database.write(with_results(frame))
    assert_same(read_frames(tmp_path / "a.aselmdb"), healthy[:3])


def test_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ase_db_backends.aselmdb", None)
    (tmp_path / "a.aselmdb").write_text("x")
    with pytest.raises(MissingPackageError, match="pip install ase-db-backends"):
        read_frames(tmp_path / "a.aselmdb")


def test_ref_keys_that_contradict_calculator_results_are_refused(tmp_path: Path, healthy: list[LabelledFrame]) -> None:
    atoms = with_results(healthy[0])
    atoms.info["REF_energy"] = 1.25
    ase.io.write(tmp_path / "a.xyz", atoms)
    with pytest.raises(DataError, match=r"'REF_energy' \(info\) and 'energy' \(results of a calculator\)"):
        read_frames(tmp_path / "a.xyz")
    assert read_frames(tmp_path / "a.xyz", LabelKeys(energy="REF_energy"))[0].energy == 1.25
    assert read_frames(tmp_path / "a.xyz", LabelKeys(energy="energy"))[0].energy == pytest.approx(healthy[0].energy)


def test_partial_labels_are_none(tmp_path: Path, healthy: list[LabelledFrame]) -> None:
    first, second = with_ref(healthy[0]), with_ref(healthy[1])
    del second.info["REF_stress"], second.arrays["REF_forces"]
    ase.io.write(tmp_path / "a.xyz", [first, second])
    frames = read_frames(tmp_path / "a.xyz")
    assert frames[0].stress is not None
    assert (frames[1].stress, frames[1].forces) == (None, None)
    assert frames[1].energy == pytest.approx(healthy[1].energy)


def test_vasprun_forces_are_not_set_to_zero(tmp_path: Path) -> None:
    (tmp_path / "vasprun.xml").write_text(VASPRUN.format(steps=STEP))
    naive = ase.io.read(tmp_path / "vasprun.xml")
    assert not naive.get_forces()[0].any()  # the trap
    frame = read_frames(tmp_path / "vasprun.xml")[0]
    np.testing.assert_allclose(frame.forces, VASP_FORCES)
    assert frame.fixed.tolist() == [True, False]
    assert frame.energy == pytest.approx(-11.95)
    assert frame.stress is not None
    np.testing.assert_allclose(np.diag(frame.stress) * 1602.1766208, [-10, -20, -30], rtol=1e-6)
    assert frame.stress[0, 2] * 1602.1766208 == pytest.approx(-2)
    assert not frame.atoms.constraints
    assert frame.atoms.calc is None


def test_vasprun_free_energy_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "vasprun.xml").write_text(VASPRUN.format(steps=STEP))
    assert read_frames(tmp_path / "vasprun.xml", LabelKeys(energy="free_energy"))[0].energy == pytest.approx(-12.0)


def test_outcar_forces_are_not_set_to_zero(tmp_path: Path) -> None:
    cycle = "--------------------------------------- Iteration      1(   1)  ---------------------------------------\n"
    (tmp_path / "OUTCAR").write_text(OUTCAR + cycle + OUTCAR_STEP)
    (tmp_path / "CONTCAR").write_text(POSCAR)
    naive = ase.io.read(tmp_path / "OUTCAR")
    assert not naive.get_forces()[0].any()  # the trap
    frame = read_frames(tmp_path / "OUTCAR")[0]
    np.testing.assert_allclose(frame.forces, VASP_FORCES)
    assert frame.fixed.tolist() == [True, False]
    assert frame.energy == pytest.approx(-11.95)
    assert frame.stress is not None
    voigt = matrix_to_voigt(frame.stress) * 1602.1766208
    np.testing.assert_allclose(voigt, [-10, -20, -30, -5, -2, -4], rtol=1e-6)


def test_constraints_of_a_trajectory_file_are_remembered(tmp_path: Path, healthy: list[LabelledFrame]) -> None:
    atoms = with_results(healthy[0])
    atoms.set_constraint([FixAtoms([1]), FixedPlane(4, (0, 0, 1))])
    ase.io.write(tmp_path / "a.json", atoms)
    assert np.flatnonzero(read_frames(tmp_path / "a.json")[0].fixed).tolist() == [1, 4]


def test_glob_is_sorted_and_lists_keep_their_order(tmp_path: Path, healthy: list[LabelledFrame]) -> None:
    for name, frame in zip(("b.xyz", "a.xyz", "c.traj"), healthy, strict=False):
        ase.io.write(tmp_path / name, with_results(frame))
    frames = read_frames([str(tmp_path / "*.traj"), str(tmp_path / "*.xyz"), tmp_path / "a.xyz"])
    assert [Path(frame.source).name for frame in frames] == ["c.traj", "a.xyz", "b.xyz"]
    assert [frame.energy for frame in frames] == pytest.approx([healthy[i].energy for i in (2, 1, 0)])


def test_name_with_brackets_or_at_sign_is_a_file(tmp_path: Path, healthy: list[LabelledFrame]) -> None:
    ase.io.write(tmp_path / "run[1].xyz", with_results(healthy[0]))
    (tmp_path / "run[1].xyz").rename(tmp_path / "run[1]@300.xyz")
    assert len(read_frames(tmp_path / "run[1]@300.xyz")) == 1


def test_nothing_matches(tmp_path: Path) -> None:
    (tmp_path / "train.xyz").touch()
    with pytest.raises(DataError, match=r"No file matches(.|\n)*did you mean '.*train\.xyz'"):
        read_frames(tmp_path / "trian.xyz")
    with pytest.raises(DataError, match="there is no folder"):
        read_frames(tmp_path / "missing" / "train.xyz")
    with pytest.raises(DataError, match="No file matches"):
        read_frames(str(tmp_path / "*.traj"))
    with pytest.raises(DataError, match="is a folder"):
        read_frames(tmp_path)
    with pytest.raises(DataError, match="No data file is given"):
        read_frames([])


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").touch()
    with pytest.raises(DataError, match=r"a\.xyz is empty"):
        read_frames(tmp_path / "a.xyz")
    with gzip.open(tmp_path / "b.xyz.gz", "wt"):
        pass
    with pytest.raises(DataError, match=r"b\.xyz\.gz"):
        read_frames(tmp_path / "b.xyz.gz")


def test_truncated_text_names_file_and_frame(tmp_path: Path, healthy: list[LabelledFrame]) -> None:
    ase.io.write(tmp_path / "a.xyz", [with_ref(frame) for frame in healthy[:3]])
    lines = (tmp_path / "a.xyz").read_text().splitlines(keepends=True)
    (tmp_path / "a.xyz").write_text("".join(lines[:-2]))
    with pytest.raises(DataError, match=r"Cannot read .*a\.xyz"):
        read_frames(tmp_path / "a.xyz")
    lines[13] = "Cu 1.0 broken\n"
    (tmp_path / "b.xyz").write_text("".join(lines))
    with pytest.raises(DataError, match=r"Cannot read .*b\.xyz after frame 0"):
        read_frames(tmp_path / "b.xyz")


def test_truncated_archive(tmp_path: Path, healthy: list[LabelledFrame]) -> None:
    ase.io.write(tmp_path / "a.xyz.gz", [with_ref(frame) for frame in healthy])
    whole = (tmp_path / "a.xyz.gz").read_bytes()
    (tmp_path / "a.xyz.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"Cannot read .*a\.xyz\.gz"):
        read_frames(tmp_path / "a.xyz.gz")


def test_unknown_format(tmp_path: Path) -> None:
    (tmp_path / "notes.abc").write_text("hello")
    with pytest.raises(DataError, match=r"Cannot read .*notes\.abc"):
        read_frames(tmp_path / "notes.abc")


def test_wrong_shape_names_file_and_frame(tmp_path: Path, healthy: list[LabelledFrame]) -> None:
    first, second = with_ref(healthy[0]), with_ref(healthy[1])
    second.arrays["REF_forces"] = second.arrays["REF_forces"][:, 0].copy()
    ase.io.write(tmp_path / "a.xyz", [first, second])
    with pytest.raises(DataError, match=r"a\.xyz, frame 1: The forces label 'REF_forces' has the wrong shape"):
        read_frames(tmp_path / "a.xyz")


@pytest.mark.parametrize("change", ["positions", "cell"])
def test_structure_that_is_not_finite(tmp_path: Path, healthy: list[LabelledFrame], change: str) -> None:
    atoms = with_ref(healthy[1])
    if change == "positions":
        atoms.positions[2, 1] = np.nan
    else:
        atoms.cell[0, 0] = np.inf
    ase.io.write(tmp_path / "a.traj", [with_ref(healthy[0]), atoms])
    with pytest.raises(DataError, match=r"a\.traj, frame 1: positions or cell vectors are NaN"):
        read_frames(tmp_path / "a.traj")


def test_frame_without_atoms(tmp_path: Path, healthy: list[LabelledFrame]) -> None:
    ase.io.write(tmp_path / "a.traj", [with_ref(healthy[0]), Atoms()])
    with pytest.raises(DataError, match=r"a\.traj, frame 1: the frame has no atoms"):
        read_frames(tmp_path / "a.traj")


def test_units_apply_to_what_is_read(tmp_path: Path, healthy: list[LabelledFrame]) -> None:
    atoms = with_ref(healthy[0])
    atoms.info["REF_energy"] = healthy[0].energy / 27.211386245988
    atoms.arrays["REF_forces"] = healthy[0].forces * (0.529177210903 / 27.211386245988)
    atoms.info["REF_stress"] = -healthy[0].stress * 160.21766208
    ase.io.write(tmp_path / "a.xyz", atoms, columns=["symbols", "positions", "REF_forces"])
    frames = read_frames(tmp_path / "a.xyz", units=LabelUnits("Ha", "Bohr", "GPa", "opposite"))
    np.testing.assert_allclose(frames[0].forces, healthy[0].forces, atol=1e-6)
    assert frames[0].energy == pytest.approx(healthy[0].energy)
    np.testing.assert_allclose(frames[0].stress, healthy[0].stress, atol=1e-9)


def test_many_frames_stay_on_the_disk_and_are_the_same(
    tmp_path: Path, healthy: list[LabelledFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    ase.io.write(tmp_path / "a.xyz", [with_ref(frame) for frame in healthy[:5]])
    monkeypatch.setattr(kept, "__defaults__", (0,))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    few, many = read_frames(tmp_path / "a.xyz"), stream_frames(tmp_path / "a.xyz")
    assert not isinstance(many, list)
    assert [frame_digest(frame) for frame in many] == [frame_digest(frame) for frame in few]
    assert many[3].atoms == few[3].atoms
    assert many[3].names == few[3].names
    assert [frame.index for frame in many[1:3]] == [1, 2]
    assert not list(tmp_path.glob("equisparse-*"))


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_an_lmdb_that_is_cut_off_is_an_error(tmp_path: Path, healthy: list[LabelledFrame], share: float) -> None:
    pytest.importorskip("ase_db_backends")
    with ase.db.connect(tmp_path / "whole.aselmdb") as database:
        for frame in healthy * 5:
            database.write(with_results(frame))
    whole = (tmp_path / "whole.aselmdb").read_bytes()
    (tmp_path / "a.aselmdb").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match="cut off"):
        read_frames(tmp_path / "a.aselmdb")


def test_an_lmdb_of_another_program_is_no_database_without_frames(tmp_path: Path) -> None:
    pytest.importorskip("ase_db_backends")
    lmdb = pytest.importorskip("lmdb")
    for name in ("a.aselmdb", "a.lmdb"):
        with lmdb.open(str(tmp_path / name), subdir=False) as environment, environment.begin(write=True) as writer:
            writer.put(b"length", b"1")
        with pytest.raises(DataError, match=rf"a\.{name[2:]} is an LMDB file, but no ASE database"):
            read_frames(tmp_path / name)


def test_an_lmdb_of_another_version_and_a_damaged_row_are_named(tmp_path: Path, healthy: list[LabelledFrame]) -> None:
    pytest.importorskip("ase_db_backends")
    lmdb = pytest.importorskip("lmdb")
    with ase.db.connect(tmp_path / "a.aselmdb") as database:
        for frame in healthy[:3]:
            database.write(with_results(frame))
    whole = (tmp_path / "a.aselmdb").read_bytes()
    magic = b"\xde\xc0\xef\xbe"  # followed by the version of the format
    (tmp_path / "b.aselmdb").write_bytes(whole.replace(magic + b"\x01", magic + b"\x63"))
    with pytest.raises(DataError, match=r"(?s)Cannot read .*b\.aselmdb\..*another version of ase, lmdb"):
        read_frames(tmp_path / "b.aselmdb")
    with lmdb.open(str(tmp_path / "a.aselmdb"), subdir=False) as environment, environment.begin(write=True) as writer:
        writer.put(b"3", b"no row")
    with pytest.raises(DataError, match=r"a\.aselmdb after frame 1\."):
        read_frames(tmp_path / "a.aselmdb")
