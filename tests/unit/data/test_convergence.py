"""Frames whose electronic cycle did not converge are found in the outputs of codes."""

import gzip
from pathlib import Path

import pytest
from ase import Atoms

from equisparse.data.audit.registry import audit
from equisparse.data.convergence import SCF_CONVERGED, mark_unconverged
from equisparse.data.read import read_frames

VASPRUN = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <incar><i type="int" name="NELM">{most}</i></incar>
 <kpoints><varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1.0</v></varray></kpoints>
 <atominfo><atoms>2</atoms><types>1</types><array name="atoms"><set>
  <rc><c>Mg</c><c>1</c></rc><rc><c>O </c><c>2</c></rc></set></array></atominfo>
 <structure name="initialpos">
  <crystal><varray name="basis"><v>4.2 0 0</v><v>0 4.2 0</v><v>0 0 4.2</v></varray></crystal>
  <varray name="positions"><v>0 0 0</v><v>0.5 0.5 0.45</v></varray>
 </structure>
 {steps}
</modeling>
"""
ENERGY = '<energy><i name="e_fr_energy">-12</i><i name="e_wo_entrp">-12</i><i name="e_0_energy">-12</i></energy>'
STEP = f""" <calculation>
  {{cycles}}
  <structure>
   <crystal><varray name="basis"><v>4.2 0 0</v><v>0 4.2 0</v><v>0 0 4.2</v></varray></crystal>
   <varray name="positions"><v>0 0 0</v><v>0.5 0.5 0.45</v></varray>
  </structure>
  <varray name="forces"><v>0.1 -0.2 0.3</v><v>-0.1 0.2 -0.3</v></varray>
  {ENERGY}
 </calculation>"""
OUTCAR = """ vasp.6.3.0 made by hand
 POTCAR:    PAW_PBE Mg 13Apr2007
 POTCAR:    PAW_PBE O 08Apr2002
 POTCAR:    PAW_PBE Mg 13Apr2007
 POTCAR:    PAW_PBE O 08Apr2002
   ions per type =               1   1
   k-points           NKPTS =      1   k-points in BZ     NKDIM =      1   number of bands    NBANDS=      8
   NELM   =      3;   NELMIN=  2; NELMDL= -5     # of ELM steps
 Following reciprocal coordinates: k-points in reciprocal lattice and weights: made by hand
   0.00000000  0.00000000  0.00000000       1.000
   ISPIN  =      1    spin polarized calculation?
"""
OUTCAR_STEP = """
      direct lattice vectors                 reciprocal lattice vectors
     4.200000000  0.000000000  0.000000000     0.238095238  0.000000000  0.000000000
     0.000000000  4.200000000  0.000000000     0.000000000  0.238095238  0.000000000
     0.000000000  0.000000000  4.200000000     0.000000000  0.000000000  0.238095238

  in kB      10.00000    20.00000    30.00000     4.00000     5.00000     2.00000
 POSITION                                       TOTAL-FORCE (eV/Angst)
 -----------------------------------------------------------------------------------
      0.00000      0.00000      0.00000         0.100000     -0.200000      0.300000
      2.10000      2.10000      1.89000        -0.100000      0.200000     -0.300000
 -----------------------------------------------------------------------------------

  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  ---------------------------------------------------
  free  energy   TOTEN  =       -12.00000000 eV

  energy  without entropy=      -11.90000000  energy(sigma->0) =      -11.95000000
"""
REACHED = "------------------------ aborting loop because EDIFF is reached ------------------------\n"
MISSED = "------------------------ aborting loop EDIFF was not reached (unconverged) -----------\n"


def vasprun(*cycles: int, most: int = 4) -> str:
    """File with a number of cycles for each ionic step."""
    steps = [STEP.format(cycles=f"<scstep>{ENERGY}</scstep>" * n) for n in cycles]
    return VASPRUN.format(most=most, steps="".join(steps))


def outcar(*steps: tuple[int, str]) -> str:
    """File with a number of cycles, and the line that ends them, for each ionic step."""
    texts = []
    for number, (cycles, end) in enumerate(steps, 1):
        lines = [f"--------------- Iteration {number:6}({n:4})  ---------------\n" for n in range(1, cycles + 1)]
        texts.append("".join(lines) + end + OUTCAR_STEP)
    return OUTCAR + "".join(texts)


def unconverged(path: Path) -> list[int]:
    """Indices of the frames that the audit names."""
    found = [finding for finding in audit(read_frames(path)) if finding.code == "scf-not-converged"]
    return list(found[0].frames) if found else []


@pytest.mark.parametrize("name", ["vasprun.xml", "vasprun.xml.gz"])
def test_vasprun(name: str, tmp_path: Path) -> None:
    contents = vasprun(3, 4, 2, 4).encode()
    (tmp_path / name).write_bytes(gzip.compress(contents) if name.endswith("gz") else contents)
    assert unconverged(tmp_path / name) == [1, 3]


def test_vasprun_that_is_cut_or_says_no_limit(tmp_path: Path) -> None:
    path = tmp_path / "vasprun.xml"
    path.write_text(vasprun(3, 4, 2).rpartition("<energy>")[0])
    assert unconverged(path) == [1]
    path.write_text(vasprun(60, 2).replace('name="NELM"', 'name="OTHER"'))
    assert unconverged(path) == []


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(2, REACHED), (3, ""), (2, REACHED)], [1]),
        ([(2, REACHED), (3, MISSED), (3, REACHED)], [1]),
        ([(2, ""), (2, "")], []),
    ],
)
def test_outcar(steps: list[tuple[int, str]], expected: list[int], tmp_path: Path) -> None:
    (tmp_path / "OUTCAR").write_text(outcar(*steps))
    assert len(read_frames(tmp_path / "OUTCAR")) == len(steps)
    assert unconverged(tmp_path / "OUTCAR") == expected


@pytest.mark.parametrize(
    ("marks", "frames", "expected"),
    [
        (["convergence has been achieved", "convergence NOT achieved"], 2, [1]),
        (["convergence NOT achieved"], 1, [0]),
        (["convergence NOT achieved"], 3, [0, 1, 2]),
        (["convergence has been achieved"] * 2, 2, []),
    ],
)
def test_espresso(marks: list[str], frames: int, expected: list[int], tmp_path: Path) -> None:
    start = "     Program PWSCF v.7.0 starts on  1Jan2024\n"
    (tmp_path / "pw.out").write_text(start + "".join(f"     {mark} in 9 iterations\n" for mark in marks))
    images = [Atoms("H") for _ in range(frames)]
    mark_unconverged(str(tmp_path / "pw.out"), images)
    assert [i for i, atoms in enumerate(images) if atoms.info.get(SCF_CONVERGED) is False] == expected
