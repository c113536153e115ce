"""Checks of spins and moments: whether the magnetic order is in the data at all, and means one thing everywhere."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from equisparse.data.audit.context import FrameSet
from equisparse.data.audit.duplicates import duplicate_groups
from equisparse.data.audit.finding import Finding
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.magnetic import as_vectors

_VISIBLE = 0.3
"""Length of a moment, muB, from which on it counts as one."""
_ENERGY_DIFFERS = 1e-3  # eV/atom
_MAGNETIC = frozenset([*range(22, 30), *range(40, 48), *range(57, 72), *range(72, 80), *range(89, 104)])
"""Elements whose atoms can carry a moment by themselves in solids: d and f metals; titanium and later."""
_LIGANDS = frozenset([7, 8, 9, 16, 17, 34, 35, 53])


def moments_without_order(data: FrameSet) -> Iterator[Finding]:
    """Find moments in frames of which no input spin says in which order they are."""
    lost = [i for i, f in enumerate(data.frames) if _visible(f.moments).any() and not _spins(f).any()]
    if lost:
        yield data.finding(
            "error" if len(lost) > len(data.frames) / 2 else "warning",
            "moments-without-order",
            f"{len(lost)} frames have moments but no input spins: nothing says which of several orders they are in",
            lost,
            "store the spins that the calculations started from or ended in as initial_magmoms, or name their key",
        )


def orders_look_alike(data: FrameSet) -> Iterator[Finding]:
    """Find frames of one geometry whose energies differ though all their spins are positive: lost signs."""
    signed = [i for i, f in enumerate(data.frames) if _visible(_spins(f)).sum() > 1]
    if not signed or any(_signs_differ(data.frames[i]) for i in signed):
        return
    told = False
    for group in duplicate_groups(data):
        energies = [data.energies[i] / data.n_atoms[i] for i in group if i in set(signed)]
        apart = np.nanmax(energies) - np.nanmin(energies) if len(energies) > 1 else 0.0
        if apart > _ENERGY_DIFFERS:
            told = True
            yield data.finding(
                "error",
                "orders-look-alike",
                f"{len(group)} frames of one geometry differ by {1e3 * apart:.3g} meV/atom, and all spins point "
                "the same way: an antiferromagnet whose moments were stored as magnitudes?",
                group,
                "store signed moments or vectors, as the code printed them",
            )
    oxides = [i for i in signed if _LIGANDS & set(data.frames[i].numbers.tolist())]
    if oxides and not told:
        yield data.finding(
            "note",
            "all-spins-parallel",
            f"all spins point the same way in all {len(signed)} frames with spins, {len(oxides)} of them with oxygen, "
            "nitrogen, sulphur or halogens: many such compounds are antiferromagnets",
            (),
            "check that moments are not stored as magnitudes; a model learns nothing of exchange from one order",
        )


def spins_on_strange_atoms(data: FrameSet) -> Iterator[Finding]:
    """Find input spins on atoms that carry none by themselves."""
    strange = [
        i
        for i, f in enumerate(data.frames)
        if (_visible(_spins(f)) & ~np.isin(f.numbers, list(_MAGNETIC))).any() and f.n_atoms > 1
    ]
    if strange:
        yield data.finding(
            "warning",
            "spins-on-non-magnetic-atoms",
            f"{len(strange)} frames have spins of more than {_VISIBLE} muB on atoms of elements without d or f moments",
            strange,
            "look for moments in another order of atoms, or projections on spheres that overlap",
        )


def spin_conventions(data: FrameSet) -> Iterator[Finding]:
    """Numbers in some frames and vectors in others; spins in some and none in others; orders that changed."""
    numbers = [i for i, f in enumerate(data.frames) if f.spins is not None and f.spins.ndim == 1]
    vectors = [i for i, f in enumerate(data.frames) if f.spins is not None and f.spins.ndim == 2]
    if numbers and vectors:
        yield data.finding(
            "warning",
            "mixed-spin-conventions",
            f"spins are numbers in {len(numbers)} frames and vectors in {len(vectors)}; numbers are taken along z",
            min(numbers, vectors, key=len),
            "fine for exchange alone; with --spin-orbit the direction has to be that of the calculation",
        )
    bare = [i for i, f in enumerate(data.frames) if not _spins(f).any()]
    if bare and len(bare) < len(data.frames):
        yield data.finding(
            "note",
            "frames-without-spins",
            f"{len(bare)} of {len(data.frames)} frames have no spins: for them a spin layer changes nothing",
            bare,
            "fine if they are not magnetic",
        )
    changed = [i for i, f in enumerate(data.frames) if _order_changed(f)]
    if changed:
        yield data.finding(
            "warning",
            "order-changed",
            f"in {len(changed)} frames the moments are in another order than the input spins, turned round or not",
            changed,
            "these calculations left the order they started in: leave them out, or take the final order as the input",
        )


def _spins(frame: LabelledFrame) -> Floats:
    """Input spins, shape (n_atoms, 3); zeros if there are none."""
    return np.zeros((frame.n_atoms, 3)) if frame.spins is None else as_vectors(frame.spins)


def _visible(vectors: Floats | None) -> NDArray[np.bool_]:
    """Which atoms have a moment to speak of, shape (n_atoms,); none without moments."""
    return np.asarray([] if vectors is None else np.linalg.norm(vectors, axis=1) > _VISIBLE, dtype=np.bool_)


def _signs_differ(frame: LabelledFrame) -> bool:
    """Whether any two spins of a frame do not point the same way."""
    spins = _spins(frame)[_visible(_spins(frame))]
    unit = spins / np.linalg.norm(spins, axis=1, keepdims=True)
    return bool((unit @ unit[0]).min() < 0.5)


def _order_changed(frame: LabelledFrame) -> bool:
    """Whether visible moments point against their input spins on some atoms and along them on others."""
    if frame.moments is None or not _spins(frame).any():
        return False
    both = _visible(frame.moments) & _visible(_spins(frame))
    along = (frame.moments[both] * _spins(frame)[both]).sum(axis=1)
    return bool((along > 0).any() and (along < 0).any())
