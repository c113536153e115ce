"""Checks of the structures: distances, isolated atoms, cells, elements, number of frames."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from ase.data import chemical_symbols

from equisparse.data.audit.context import FrameSet
from equisparse.data.audit.finding import Finding
from equisparse.data.audit.system import system_values
from equisparse.data.fingerprint import CUTOFF
from equisparse.data.frames import has_stress
from equisparse.data.lattice import lacks_lattice
from equisparse.wording import agreeing, counted

_TOO_CLOSE = 0.5
_FEW_FRAMES = 10
_VALUES_SHOWN = 4


def known_elements(data: FrameSet) -> Iterator[Finding]:
    """Find elements that the base model does not know."""
    counts, numbers = data.composition
    if data.elements is None:
        return
    unknown = [z for z in numbers if z not in data.elements]
    if unknown:
        names = ", ".join(chemical_symbols[z] for z in unknown)
        columns = [numbers.index(z) for z in unknown]
        yield data.finding(
            "error",
            "unknown-elements",
            f"the base model does not know {names}",
            np.flatnonzero(counts[:, columns].any(axis=1)),
            "choose a base model with these elements, or remove the frames",
        )


def close_atoms(data: FrameSet) -> Iterator[Finding]:
    """Find atoms that nearly coincide."""
    smallest = data.nearest_range[:, 0]
    bad = np.flatnonzero(smallest < _TOO_CLOSE)
    if bad.size:
        yield data.finding(
            "error",
            "atoms-too-close",
            f"two atoms are closer than {_TOO_CLOSE} Angstrom in {counted(bad.size, 'frame')}; the smallest distance "
            f"is {smallest.min():.3g} Angstrom in frame {smallest.argmin()}",
            bad,
            "look for positions in another unit, a wrong cell, or duplicated atoms",
        )


def isolated_atoms(data: FrameSet) -> Iterator[Finding]:
    """Find single atoms, and atoms without neighbours."""
    alone = ~data.bound
    single = data.n_atoms == 1
    if (alone & single).any():
        yield data.finding(
            "note",
            "single-atoms",
            f"{counted((alone & single).sum(), 'frame consists', 'frames consist')} of one isolated atom",
            np.flatnonzero(alone & single),
            "remove them unless the model shall learn isolated atoms: reference energies are refitted without them",
        )
    if (alone & ~single).any():
        yield data.finding(
            "warning",
            "isolated-atoms",
            f"an atom has no neighbour within {CUTOFF:g} Angstrom in {counted((alone & ~single).sum(), 'frame')}",
            np.flatnonzero(alone & ~single),
            "look for evaporated atoms, positions in another unit, or a cell that is too large",
        )


def cells(data: FrameSet) -> Iterator[Finding]:
    """Find periodic frames without a cell, and stresses of frames that are not periodic in all directions."""
    flat = [index for index, frame in enumerate(data.frames) if lacks_lattice(frame.atoms)]
    if flat:
        yield data.finding(
            "error",
            "no-cell",
            f"{counted(len(flat), 'frame is', 'frames are')} periodic but without a cell volume, or without a cell "
            "vector in a periodic direction",
            flat,
            'write the cell into the file (Lattice="..." in extxyz), or set pbc to F F F',
        )
    bare = [i for i, f in enumerate(data.frames) if not f.cell.any() and not f.pbc.any() and f.n_atoms > 1]
    if bare:
        yield data.finding(
            "note",
            "molecules",
            f"{len(bare):,} of {counted(len(data.frames), 'frame')} "
            + agreeing(
                len(bare),
                "has no cell and is treated as an isolated molecule",
                "have no cell and are treated as isolated molecules",
            ),
            bare,
            'nothing for molecules; for crystals, write the cell into the file (Lattice="..." in extxyz)',
        )
    yield from _unused_stress(data)
    yield from _stress_over_vacuum(data)


def _unused_stress(data: FrameSet) -> Iterator[Finding]:
    """Find stresses that are not used, because the frame has none by definition."""
    unused = [index for index in data.with_stress if not has_stress(data.frames[index].atoms)]
    if unused:
        yield data.finding(
            "warning",
            "stress-not-used",
            f"{counted(len(unused), 'frame has', 'frames have')} a stress label that is not used: no direction is "
            "periodic, or the cell has no volume",
            unused,
            "write pbc and the whole cell into the file if the calculation was periodic; otherwise ignore this",
        )


def _stress_over_vacuum(data: FrameSet) -> Iterator[Finding]:
    """Find stresses of slabs and wires, which are divided by the volume of the cell with its vacuum."""
    used = [index for index in data.with_stress if has_stress(data.frames[index].atoms)]
    over_vacuum = [index for index in used if not data.frames[index].pbc.all()]
    if over_vacuum:
        yield data.finding(
            "warning",
            "stress-without-pbc",
            f"{counted(len(over_vacuum), 'frame has', 'frames have')} a stress but not all directions are periodic",
            over_vacuum,
            "set pbc to T T T if the calculation was periodic; otherwise make sure that the stress is the derivative "
            "of the energy by strain over the volume of the cell with its vacuum, as in ASE and VASP",
        )


def one_charge(data: FrameSet) -> Iterator[Finding]:
    """Find charges, multiplicities or fields that differ between frames."""
    for name, values in system_values(frame.atoms.info for frame in data.frames).items():
        if len(set(values)) > 1:
            counts = ", ".join(f"{value} ({n})" for value, n in Counter(values).most_common(_VALUES_SHOWN))
            yield data.finding(
                "warning",
                "charge-not-seen",
                f"{name} differs between frames: {counts}; the model does not see it",
                (),
                f"train on frames with one {name}, or one adapter for each value",
            )


def few_frames(data: FrameSet) -> Iterator[Finding]:
    """Find a training set that is so small that its validation error means little."""
    if data.name == "train" and len(data.frames) < _FEW_FRAMES:
        yield data.finding(
            "note",
            "few-frames",
            f"there {agreeing(len(data.frames), 'is', 'are')} only {counted(len(data.frames), 'training frame')}",
            (),
            "use a method with few trainable values, and test on independent frames",
        )
