"""Formats that hold labelled frames but that ASE does not read: recognised, with the line that converts each."""

import lzma
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from ase.io.formats import open_with_compression

from equisparse.errors import DataError

_START = 20_000
"""Number of bytes by which a file is recognised."""

_CP2K_COMMENT = re.compile(rb"^\s*\d+\s*\n\s*i\s*=\s*\d+,\s*time\s*=", re.MULTILINE)
_PYMATGEN = re.compile(rb'"@module"\s*:\s*"pymatgen|"lattice"\s*:\s*\{\s*"')
_MPTRJ = re.compile(rb'"(?:(?:un)?corrected_total_energy|ef_per_atom|e_per_atom_relaxed|energy_per_atom)"')

_ML_AB_LINE = "from pymlff import MLAB; MLAB.from_file('{path}').write_extxyz('frames.extxyz')"
_DEEPMD_LINE = "import dpdata; dpdata.LabeledSystem('{folder}', fmt='{kind}').to('ase/traj', 'frames.traj')"
_CP2K_LINE = (
    "from ase.io import read, write; from ase.units import Ha, Bohr; a, f = read('{pos}', ':'), read('{frc}', ':'); "
    "[x.info.update(REF_energy=x.info.pop('E') * Ha) or x.set_array('REF_forces', y.positions * Ha / Bohr) "
    "for x, y in zip(a, f, strict=True)]; write('frames.extxyz', a)"
)
_MPTRJ_LINE = (
    "import json, numpy; from ase.io import write; from pymatgen.core import Structure; "
    "d = [x for m in json.load(open('{path}')).values() for x in m.values()]; "
    "a = [Structure.from_dict(x['structure']).to_ase_atoms() for x in d]; "
    "[y.info.update(REF_energy=x['uncorrected_total_energy'], REF_stress=numpy.array(x['stress'])) or "
    "y.set_array('REF_forces', numpy.array(x['force'])) for x, y in zip(d, a)]; write('frames.extxyz', a)"
)
_PYMATGEN_LINE = (
    "from monty.serialization import loadfn; from ase.io import write; s = loadfn('{path}'); "
    "write('frames.extxyz', [x.to_ase_atoms() for x in (s if isinstance(s, list) else [s])])"
)
_VASPOUT_LINE = "from ase.io import read, write; write('frames.traj', read('{path}', ':'))"


@dataclass(frozen=True)
class _Format:
    """A format: its name, the line of Python that converts a file, and what this line needs."""

    name: str
    line: str
    remark: str


def refuse_foreign(path: str) -> None:
    """Refuse a file in a format that ASE does not read but that is known to hold labelled frames.

    Raises
    ------
    DataError
        With the name of the format and the line that converts the file.
    """
    start, file = _start_of(path), Path(path)
    known = _text_format(file, start) or _json_format(file, start) or _binary_format(file, start)
    if known is not None:
        raise _refused(path, known)


def refuse_deepmd_folder(path: str) -> None:
    """Refuse a folder of a DeepMD data set; see `refuse_foreign`."""
    folder = Path(path)
    if (folder / "type.raw").is_file() or next(folder.glob("set.*"), None) is not None:
        raise _refused(path, _deepmd(folder))


def _text_format(path: Path, start: bytes) -> _Format | None:
    """Format of a text file of VASP or CP2K."""
    if path.name in ("ML_AB", "ML_ABN") or b"The number of configurations" in start:
        remark = "after pip install git+https://github.com/utf/pymlff; check the sign of the stress with audit --base"
        return _Format("an ML_AB file of VASP", _ML_AB_LINE.format(path=path), remark)
    if _CP2K_COMMENT.search(start):
        line = _CP2K_LINE.format(pos=_cp2k_file(path, "pos"), frc=_cp2k_file(path, "frc"))
        return _Format("a trajectory of CP2K without forces or cell", line, "then add the cell, which these files lack")
    return None


def _json_format(path: Path, start: bytes) -> _Format | None:
    """Format of a JSON file of pymatgen, or of the data set MPtrj."""
    if start.lstrip()[:1] not in (b"{", b"["):
        return None
    if _MPTRJ.search(start):
        remark = "after pip install pymatgen; then use --stress-unit kbar --stress-sign opposite"
        return _Format("a JSON file of MPtrj", _MPTRJ_LINE.format(path=path), remark)
    if _PYMATGEN.search(start):
        remark = "after pip install pymatgen; its structures have no labels: add REF_energy and REF_forces"
        return _Format("a JSON file of pymatgen", _PYMATGEN_LINE.format(path=path), remark)
    return None


def _binary_format(path: Path, start: bytes) -> _Format | None:
    """Format of a file of DeepMD or of an HDF5 file of VASP."""
    if path.suffix in (".npy", ".npz", ".raw") or start.startswith(b"\x93NUMPY"):
        return _deepmd(path.parent.parent if path.parent.name.startswith("set.") else path.parent)
    if path.name == "vaspout.h5":
        line = _VASPOUT_LINE.format(path=path.with_name("vasprun.xml"))
        return _Format("an HDF5 file of VASP", line, "which needs the vasprun.xml of the same run")
    return None


def _deepmd(folder: Path) -> _Format:
    """Format of a DeepMD data set."""
    kind = "deepmd/npy" if next(folder.glob("set.*"), None) is not None else "deepmd/raw"
    return _Format("a DeepMD data set", _DEEPMD_LINE.format(folder=folder, kind=kind), "after pip install dpdata")


def _refused(path: str, known: _Format) -> DataError:
    """Error with the line that converts a file."""
    return DataError(
        f"{path} is {known.name}, which ASE does not read.",
        expected="extxyz, or another format of ASE",
        next_step=f'convert it ({known.remark}): python -c "{known.line}"',
    )


def _start_of(path: str) -> bytes:
    """First bytes of a file, without its compression; empty if they cannot be read."""
    try:
        with open_with_compression(path, "rb") as file:
            return bytes(file.read(_START))
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
        return b""


def _cp2k_file(path: Path, kind: str) -> Path:
    """File of positions (``pos``) or forces (``frc``) that belongs to a file of either."""
    return path.with_name(re.sub(r"-(pos|frc|vel)-", f"-{kind}-", path.name))
