"""Files that cannot be read: each is written by a few lines, and has the message that a user must get."""

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from equisparse.data.frames import LabelledFrame
from equisparse.data.read import read_frames
from equisparse.errors import DataError


def with_labels(frame: LabelledFrame) -> Atoms:
    """Structure with its labels under their usual names."""
    atoms = frame.atoms.copy()
    atoms.info |= {"REF_energy": frame.energy, "REF_stress": frame.stress}
    atoms.arrays["REF_forces"] = frame.forces.copy()
    return atoms


def extxyz(frames: Iterable[LabelledFrame], tmp_path: Path) -> str:
    """Text of an extended XYZ file."""
    ase.io.write(tmp_path / "text.xyz", [with_labels(frame) for frame in frames])
    return (tmp_path / "text.xyz").read_text()


Writer = Callable[[Path, str], Path]
"""From a folder and the text of a healthy file of three frames of eight atoms, a broken file."""

UNREADABLE: dict[str, tuple[Writer, str]] = {}


def unreadable(message: str) -> Callable[[Writer], Writer]:
    """Put a file into the corpus, with what is said about it."""

    def put(writer: Writer) -> Writer:
        UNREADABLE[writer.__name__] = (writer, message)
        return writer

    return put


def written(path: Path, contents: str | bytes) -> Path:
    path.write_bytes(contents.encode() if isinstance(contents, str) else contents)
    return path


def edited(folder: Path, text: str, line: int, new: str) -> Path:
    """File in which one line is another."""
    lines = text.splitlines()
    lines[line] = new
    return written(folder / "a.xyz", "\n".join(lines) + "\n")


@unreadable("is empty")
def empty(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz", "")


@unreadable("Cannot read|has no frames")
def only_blank_lines(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz", "\n\n\n")


@unreadable("Cannot read")
def truncated_in_the_last_frame(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz", text[: -len(text) // 10])


@unreadable("Cannot read")
def truncated_in_a_comment_line(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz", text[: text.index("Properties") + 15])


@unreadable("Cannot read")
def count_of_atoms_too_large(folder: Path, text: str) -> Path:
    return edited(folder, text, 10, "9")


@unreadable("Cannot read")
def count_of_atoms_too_small(folder: Path, text: str) -> Path:
    return edited(folder, text, 10, "7")


@unreadable("Cannot read")
def count_of_atoms_is_a_word(folder: Path, text: str) -> Path:
    return edited(folder, text, 0, "eight")


@unreadable("Cannot read")
def count_of_atoms_is_negative(folder: Path, text: str) -> Path:
    return edited(folder, text, 0, "-8")


@unreadable("Cannot read")
def count_of_atoms_is_enormous(folder: Path, text: str) -> Path:
    return edited(folder, text, 0, "99999999999")


@unreadable("Cannot read|no atoms")
def count_of_atoms_is_zero(folder: Path, text: str) -> Path:
    return edited(folder, text, 0, "0")


@unreadable("Cannot read")
def text_that_is_not_utf8(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz", text.replace("Properties", "\xe5ngstr\xf6m=1 Properties").encode("latin-1"))


@unreadable("Cannot read")
def text_in_utf16(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz", text.encode("utf-16"))


@unreadable("Cannot read")
def binary_garbage(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz", np.random.default_rng(0).bytes(5000))


@unreadable("Cannot read")
def nothing_but_zero_bytes(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz", bytes(5000))


@unreadable("Cannot read")
def archive_that_is_cut(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz.gz", gzip.compress(text.encode())[:-300])


@unreadable("Cannot read")
def archive_that_is_none(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz.gz", text)


@unreadable("Cannot read")
def archive_with_a_flipped_byte(folder: Path, text: str) -> Path:
    packed = bytearray(gzip.compress(text.encode()))
    packed[len(packed) // 2] ^= 0xFF
    return written(folder / "a.xyz.gz", bytes(packed))


@unreadable("is a folder")
def folder_in_place_of_a_file(folder: Path, text: str) -> Path:
    (folder / "a.xyz").mkdir()
    return folder / "a.xyz"


@unreadable("No file matches")
def link_to_nowhere(folder: Path, text: str) -> Path:
    (folder / "a.xyz").symlink_to(folder / "gone.xyz")
    return folder / "a.xyz"


@unreadable("Cannot read")
def trajectory_that_is_cut(folder: Path, text: str) -> Path:
    ase.io.write(folder / "whole.traj", ase.io.read(folder / "text.xyz", ":"))
    return written(folder / "a.traj", (folder / "whole.traj").read_bytes()[:200])


@unreadable("Cannot read")
def trajectory_that_is_text(folder: Path, text: str) -> Path:
    return written(folder / "a.traj", text)


@unreadable("Cannot read")
def database_that_is_none(folder: Path, text: str) -> Path:
    return written(folder / "a.db", text)


@unreadable("Cannot read")
def database_that_is_cut(folder: Path, text: str) -> Path:
    ase.io.write(folder / "whole.db", ase.io.read(folder / "text.xyz", ":"))
    return written(folder / "a.db", (folder / "whole.db").read_bytes()[:6000])


@unreadable("Cannot read|needs a package|a package is missing")
def lmdb_that_is_none(folder: Path, text: str) -> Path:
    return written(folder / "a.aselmdb", text)


@unreadable("Cannot read")
def json_that_is_cut(folder: Path, text: str) -> Path:
    ase.io.write(folder / "whole.json", ase.io.read(folder / "text.xyz"))
    return written(folder / "a.json", (folder / "whole.json").read_bytes()[:-100])


@unreadable("Cannot read|has no frames")
def vasprun_that_is_cut(folder: Path, text: str) -> Path:
    return written(folder / "vasprun.xml", '<?xml version="1.0"?>\n<modeling>\n <calculation>\n  <scstep>')


@unreadable("Cannot read|has no frames")
def outcar_without_a_step(folder: Path, text: str) -> Path:
    return written(folder / "OUTCAR", " vasp.6.3.0\n POTCAR:    PAW_PBE Mg 13Apr2007\n")


@unreadable("Cannot read")
def element_that_does_not_exist(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz", text.replace("Ag ", "Xx "))


@unreadable("Cannot read")
def position_that_is_a_word(folder: Path, text: str) -> Path:
    return edited(folder, text, 3, "Cu 1.0 left 0.0 0.0 0.0 0.0")


@unreadable("Cannot read")
def properties_without_sense(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz", text.replace("pos:R:3", "pos:Q:three"))


@unreadable("NaN or infinite")
def position_that_is_not_a_number(folder: Path, text: str) -> Path:
    return edited(folder, text, 3, "Cu nan 0.0 0.0 0.0 0.0 0.0")


@unreadable("NaN or infinite")
def cell_that_is_infinite(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz", text.replace('Lattice="', 'Lattice="inf 0 0 0 4 0 0 0 4" old="', 1))


@unreadable("beyond 1e.08 Angstrom")
def cell_vector_of_a_light_year(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz", text.replace('Lattice="', 'Lattice="9e25 0 0 0 4 0 0 0 4" old="', 1))


@unreadable("the cell is so thin")
def cell_in_another_unit(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz", text.replace('Lattice="', 'Lattice="0.04 0 0 0 0.04 0 0 0 0.04" old="', 1))


@unreadable("the cell is so thin")
def cell_with_parallel_vectors(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz", text.replace('Lattice="', 'Lattice="4 0 0 4e6 4 0 0 0 4" old="', 1))


@unreadable("wrong shape")
def forces_with_two_components(folder: Path, text: str) -> Path:
    return labelled(folder, forces=lambda forces: forces[:, :2])


@unreadable("wrong shape")
def stress_with_five_components(folder: Path, text: str) -> Path:
    return labelled(folder, stress=lambda stress: stress.ravel()[:5])


@unreadable("not one number")
def energy_with_a_value_per_atom(folder: Path, text: str) -> Path:
    return labelled(folder, energy=lambda energy: np.full(8, energy / 8))


@unreadable("not numeric")
def energy_that_is_a_word(folder: Path, text: str) -> Path:
    return labelled(folder, energy=lambda energy: "unconverged")


@unreadable("an ML_AB file of VASP(.|\n)*MLAB.from_file")
def ml_ab_of_vasp(folder: Path, text: str) -> Path:
    return written(folder / "ML_AB", " 1.0 Version\n" + "*" * 50 + "\n     The number of configurations\n")


@unreadable("a DeepMD data set(.|\n)*fmt='deepmd/npy'")
def array_of_deepmd(folder: Path, text: str) -> Path:
    (folder / "set.000").mkdir()
    np.save(folder / "set.000" / "energy.npy", np.zeros(3))
    return folder / "set.000" / "energy.npy"


@unreadable("a DeepMD data set(.|\n)*fmt='deepmd/npy'")
def folder_of_deepmd(folder: Path, text: str) -> Path:
    (folder / "system" / "set.000").mkdir(parents=True)
    return folder / "system"


@unreadable("a JSON file of pymatgen")
def structures_of_pymatgen(folder: Path, text: str) -> Path:
    return written(folder / "a.json", '[{"@module": "pymatgen.core.structure", "@class": "Structure", "sites": []}]')


@unreadable("a JSON file of MPtrj(.|\n)*--stress-unit kbar --stress-sign opposite")
def json_of_mptrj(folder: Path, text: str) -> Path:
    return written(folder / "a.json", '{"mp-1": {"mp-1-0-0": {"structure": {}, "uncorrected_total_energy": -1.0}}}')


@unreadable("a trajectory of CP2K(.|\n)*x-frc-1.xyz")
def positions_of_cp2k(folder: Path, text: str) -> Path:
    return written(folder / "x-pos-1.xyz", "  1\n i =        0, time =        0.000, E =       -17.16\n H 0 0 0\n")


@unreadable("an HDF5 file of VASP(.|\n)*vasprun.xml")
def hdf5_of_vasp(folder: Path, text: str) -> Path:
    return written(folder / "vaspout.h5", b"\x89HDF\r\n\x1a\n")


@unreadable("several values of pbc")
def header_with_a_key_twice(folder: Path, text: str) -> Path:
    return written(folder / "a.xyz", text.replace("pbc=", 'pbc="F F F" pbc='))


@unreadable("virial")
def virial_without_a_cell(folder: Path, text: str) -> Path:
    frames = ase.io.read(folder / "text.xyz", ":")
    for atoms in frames:
        atoms.info["virial"] = atoms.info.pop("REF_stress")
        atoms.cell[:] = 0
        atoms.pbc = False
    ase.io.write(folder / "a.xyz", frames)
    return folder / "a.xyz"


def labelled(folder: Path, **changes: Callable[..., object]) -> Path:
    """The healthy file with changed labels."""
    frames = ase.io.read(folder / "text.xyz", ":")
    for atoms in frames:
        for name, change in changes.items():
            holder = atoms.arrays if name == "forces" else atoms.info
            holder[f"REF_{name}"] = change(holder[f"REF_{name}"])
    ase.io.write(folder / "a.xyz", frames)
    return folder / "a.xyz"


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read_is_named(name: str, healthy: list[LabelledFrame], tmp_path: Path) -> None:
    writer, message = UNREADABLE[name]
    path = writer(tmp_path, extxyz(healthy[:3], tmp_path))
    with pytest.raises((DataError, ImportError), match=message) as raised:
        read_frames(path)
    assert path.name in str(raised.value)
