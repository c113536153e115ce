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


_NONMETALS = frozenset({1, 6, 7, 8, 9, 15, 16, 17, 35, 53})
"""Elements of organic molecules."""
_OF_THE_D_AND_F_BLOCKS = frozenset([*range(21, 31), *range(39, 49), *range(57, 81), *range(89, 113)])


def is_organic(elements: Collection[int]) -> bool:
    """Tell whether a base of these elements was trained on molecules.

    It knows H and C, and either nonmetals alone, or also N and O and no element of the d and f blocks: ions such as
    Na+ and Ca2+ occur in sets of molecules, too.

    >>> is_organic([1, 3, 6, 7, 8, 9, 11, 12, 15, 16, 17, 19, 20, 35, 53])  # SPICE
    True
    >>> is_organic([1, 6])
    True
    >>> is_organic(range(1, 90))
    False
    """
    known = frozenset(elements)
    if not known >= {1, 6}:
        return False
    return known <= _NONMETALS or (known >= {7, 8} and not known & _OF_THE_D_AND_F_BLOCKS)


def probe_structures(elements: Collection[int], draw: Draw) -> list[Atoms]:
    """Probe structures of one draw that a base knows, always the same.

    Parameters
    ----------
    elements : collection of int
        Atomic numbers that the base knows; structures with other elements are left out. For a base of molecules,
        crystals are left out, too (`is_organic`).
    draw : {"measure", "learn"}

    Returns
    -------
    list of Atoms
        Copies, with ``name`` and ``kind`` (``element``, ``compound`` or ``molecule``) in `info`.
    """
    known, organic = set(elements), is_organic(elements)
    return [
        atoms.copy()
        for atoms in _packaged(draw)
        if known.issuperset(atoms.numbers.tolist()) and (atoms.info["kind"] == "molecule" or not organic)
    ]


@cache
def _packaged(draw: Draw) -> tuple[Atoms, ...]:
    """All structures of one draw, read once per process."""
    text = io.StringIO(gzip.decompress(PROBE_FILE.read_bytes()).decode())  # ASE is slow on a compressed stream
    return tuple(atoms for atoms in ase.io.iread(text, index=":", format="extxyz") if atoms.info.pop("draw") == draw)
