"""Formats that ASE does not read: the line that converts a file gives its labels."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.units import Bohr, Ha

from equisparse.data.read import read_frames
from equisparse.errors import DataError


def line(path: Path) -> str:
    """Line of Python in the message about a file."""
    with pytest.raises(DataError, match="which ASE does not read") as raised:
        read_frames(path)
    found = re.search(r'python -c "(.*)"$', str(raised.value), re.MULTILINE)
    assert found
    return found[1]


def test_the_line_for_cp2k_converts(tmp_path: Path) -> None:
    for kind, values in (("pos", "0.0 0.0 1.1"), ("frc", "0.0 0.0 0.02")):
        frames = [f"  2\n i =    {i}, time =    0.500, E =     -17.{i}\nH 0 0 0\nF {values}\n" for i in range(3)]
        (tmp_path / f"hf-{kind}-1.xyz").write_text("".join(frames))
    for kind in ("pos", "frc"):
        subprocess.run([sys.executable, "-c", line(tmp_path / f"hf-{kind}-1.xyz")], check=True, cwd=tmp_path)
        frames = read_frames(tmp_path / "frames.extxyz")
        assert [frame.energy for frame in frames] == pytest.approx([-17.0 * Ha, -17.1 * Ha, -17.2 * Ha])
        np.testing.assert_allclose(frames[2].forces, [[0, 0, 0], [0, 0, 0.02 * Ha / Bohr]], atol=1e-7)
        assert frames[0].positions[1, 2] == 1.1


@pytest.mark.parametrize("kind", ["npy", "raw"])
def test_the_line_for_deepmd_names_the_folder_of_the_system(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "system"
    folder.mkdir()
    (folder / "type.raw").write_text("0\n1\n")
    if kind == "npy":
        (folder / "set.000").mkdir()
        np.save(folder / "set.000" / "coord.npy", np.zeros((1, 6)))
        assert f"LabeledSystem('{folder}', fmt='deepmd/npy')" in line(folder / "set.000" / "coord.npy")
    assert f"LabeledSystem('{folder}', fmt='deepmd/{kind}')" in line(folder / "type.raw")
    assert f"LabeledSystem('{folder}', fmt='deepmd/{kind}')" in line(folder)


def test_lines_are_python(tmp_path: Path) -> None:
    for name, contents in (
        ("ML_AB", "1.0 Version"),
        ("a.json", '{"@module": "pymatgen.core.structure"}'),
        ("b.json", '{"mp-1": {"mp-1-0-0": {"uncorrected_total_energy": -1.0}}}'),
        ("vaspout.h5", "\x89HDF"),
    ):
        (tmp_path / name).write_text(contents)
        compile(line(tmp_path / name), name, "exec")


def test_files_of_ase_are_not_taken_for_others(tmp_path: Path) -> None:
    import ase.io
    from ase import Atoms

    ase.io.write(tmp_path / "a.json", Atoms("H", info={"energy_per_atoms": 1.0}, cell=np.eye(3)))
    assert len(read_frames(tmp_path / "a.json")) == 1
