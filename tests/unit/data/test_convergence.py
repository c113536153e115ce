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
OUTCAR, OUTCAR_STEP = ((Path(__file__).parent / "files" / f"OUTCAR-{part}").read_text() for part in ("head", "step"))
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
