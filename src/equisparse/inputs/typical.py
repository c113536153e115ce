"""Structures whose properties are computed: one per composition among many frames, and their names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from equisparse.data.frames import LabelledFrame
from equisparse.observables.kind import kind_of


@dataclass
class _Group:
    """Frames of one composition: the one of lowest energy per atom, or the first, and their number."""

    atoms: Atoms
    energy: float
    count: int


def typical_structures(frames: Iterable[LabelledFrame]) -> list[Atoms]:
    """Frame of lowest energy per atom of each composition, the most frequent composition first.

    Crystals whose cells hold one composition several times are of one composition.

    Parameters
    ----------
    frames : iterable of LabelledFrame
        Without energies, the first frame of a composition is taken.
    """
    groups: dict[tuple[str, str], _Group] = {}
    for group in _by_formula(frames):
        kind = kind_of(group.atoms)
        key = (kind, str(group.atoms.symbols.get_chemical_formula(empirical=kind == "crystal")))
        groups[key] = _merged(groups[key], group) if key in groups else group
    return [group.atoms for group in sorted(groups.values(), key=lambda group: -group.count)]


def named_structures(structures: Sequence[Atoms]) -> dict[str, Atoms]:
    """Structures by name: ``name`` in `info`, or the formula, without common factors for crystals.

    Equal names are numbered: the second one ends in `` 2``.
    """
    named: dict[str, Atoms] = {}
    for atoms in structures:
        is_crystal = kind_of(atoms) == "crystal"
        name = str(atoms.info.get("name") or atoms.symbols.get_chemical_formula(empirical=is_crystal))
        names = [name, *(f"{name} {number}" for number in range(2, len(structures) + 1))]
        named[next(name for name in names if name not in named)] = atoms
    return named


def _by_formula(frames: Iterable[LabelledFrame]) -> list[_Group]:
    """Groups of frames of the same formula and the same periodic directions."""
    groups: dict[tuple[str, bytes], _Group] = {}
    for frame in frames:
        energy = np.inf if frame.energy is None else frame.energy / frame.n_atoms
        group, key = _Group(frame.atoms, energy, 1), (frame.formula, frame.pbc.tobytes())
        groups[key] = _merged(groups[key], group) if key in groups else group
    return list(groups.values())


def _merged(first: _Group, second: _Group) -> _Group:
    """Both groups as one."""
    lower = second if second.energy < first.energy else first
    return _Group(lower.atoms, lower.energy, first.count + second.count)
