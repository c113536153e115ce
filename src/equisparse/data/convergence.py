"""Electronic convergence of the frames of an output file, which ASE does not report."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO
from xml.etree import ElementTree as ET

from ase import Atoms
from ase.io.formats import UnknownFileTypeError, filetype, open_with_compression

SCF_CONVERGED = "scf_converged"
"""Name in `info` under which a frame whose electronic cycle did not converge has the value False."""

_MARKS: Mapping[str, tuple[str, str]] = {
    "espresso-out": ("convergence has been achieved", "convergence NOT achieved"),
    "aims-output": ("Self-consistency cycle converged.", "Self-consistency cycle not yet converged"),
    "orca-output": ("SCF CONVERGED AFTER", "SCF NOT CONVERGED AFTER"),
    "gaussian-out": ("SCF Done:", "Convergence failure"),
    "nwchem-out": ("Total DFT energy", "Calculation failed to converge"),
    "gpaw-out": ("Converged after", "Did not converge"),
    "castep-castep": ("Final energy", "max. SCF cycles performed"),
    "abinit-out": ("is converged", "was not enough SCF cycles to converge"),
}
"""Format of ASE -> texts that a code prints for a cycle that converged, and for one that did not."""

_NELM = re.compile(r"\bNELM\s*=\s*(\d+)")
_ITERATION = re.compile(r"Iteration\s+\d+\(\s*(\d+)\)")
_OUTCAR_STEP = "FREE ENERGIE OF THE ION-ELECTRON SYSTEM"


def mark_unconverged(path: str, images: Iterable[Atoms]) -> None:
    """Set `SCF_CONVERGED` to False in the frames of an output file whose electronic cycle did not converge.

    In VASP files (OUTCAR, vasprun.xml) a cycle did not converge if it has as many steps as NELM allows. If the cycles
    of another file cannot be told apart, one that did not converge marks all of its frames.
    """
    frames = list(images)
    outcomes = _outcomes(path)
    if len(outcomes) < len(frames) and not all(outcomes):
        outcomes = [False] * len(frames)
    for atoms, converged in zip(frames, outcomes, strict=False):
        if not converged:
            atoms.info[SCF_CONVERGED] = False


def _outcomes(path: str) -> list[bool]:
    """State of every electronic cycle of a file, in order; empty for formats without such a record."""
    try:
        format_name = filetype(path)
    except UnknownFileTypeError:
        return []
    readers: dict[str, Callable[[IO[bytes]], Iterator[bool]]] = {"vasp-xml": _of_vasprun, "vasp-out": _of_outcar}
    if format_name in readers:
        with open_with_compression(path, "rb") as file:
            return list(readers[format_name](file))
    if format_name in _MARKS:
        with open_with_compression(path, "rb") as file:
            return list(_of_marks(file, *_MARKS[format_name]))
    return []


def _of_vasprun(file: IO[bytes]) -> Iterator[bool]:
    """Outcome of each ionic step of a vasprun.xml, also if its end is missing."""
    most = None
    try:
        for _, element in ET.iterparse(file):  # noqa: S314  ASE has parsed the same file
            if element.tag == "i" and element.get("name") == "NELM" and element.text:
                most = int(element.text)
            if element.tag == "calculation":
                yield most is None or len(element.findall("scstep")) < most
                element.clear()
    except ET.ParseError:
        return


def _of_outcar(file: IO[bytes]) -> Iterator[bool]:
    """Outcome of each ionic step of an OUTCAR."""
    most, cycles, reached = None, 0, None
    for line in _lines(file):
        if match := _ITERATION.search(line):
            cycles = int(match[1])
        elif "EDIFF" in line and "abort" in line:
            reached = "is reached" in line
        elif most is None and (match := _NELM.search(line)):
            most = int(match[1])
        elif _OUTCAR_STEP in line:
            yield (most is None or cycles < most) if reached is None else reached
            cycles, reached = 0, None


def _of_marks(file: IO[bytes], success: str, failure: str) -> Iterator[bool]:
    """Outcome of each cycle, from the texts that a code prints."""
    for line in _lines(file):
        if failure in line:
            yield False
        elif success in line:
            yield True


def _lines(file: IO[bytes]) -> Iterator[str]:
    """Lines of text in any encoding."""
    return (line.decode("latin-1") for line in file)
