"""Probe structures: packaged elements, compounds and small molecules, strained and rattled.

Two draws have no structure in common: one to measure drift on, and one to train on (replay). The recipe is
``scripts/make_probe_structures.py``.
"""

import gzip
import io
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Literal

import ase.io
from ase import Atoms

Draw = Literal["measure", "learn"]
"""Purpose of a set of probe structures: to measure drift on, or to train on (replay)."""

PROBE_FILE = Path(__file__).with_name("probe_structures.xyz.gz")
"""Packaged structures of both draws, with ``name``, ``kind`` and ``draw`` in `info`."""


def probe_structures(elements: Collection[int], draw: Draw) -> list[Atoms]:
    """Probe structures of one draw that consist of known elements, always the same.

    Parameters
    ----------
    elements : collection of int
        Atomic numbers that the base knows; structures with other elements are left out.
    draw : {"measure", "learn"}

    Returns
    -------
    list of Atoms
        Copies, with ``name`` and ``kind`` (``element``, ``compound`` or ``molecule``) in `info`.
    """
    known = set(elements)
    return [atoms.copy() for atoms in _packaged(draw) if known.issuperset(atoms.numbers.tolist())]


@cache
def _packaged(draw: Draw) -> tuple[Atoms, ...]:
    """All structures of one draw, read once per process."""
    text = io.StringIO(gzip.decompress(PROBE_FILE.read_bytes()).decode())  # ASE is slow on a compressed stream
    return tuple(atoms for atoms in ase.io.iread(text, index=":", format="extxyz") if atoms.info.pop("draw") == draw)
