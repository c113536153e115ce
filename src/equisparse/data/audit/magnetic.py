"""Checks of spins and moments: presence of the magnetic order, and one convention in all frames."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from equisparse.data.audit.context import FrameSet
from equisparse.data.audit.duplicates import duplicate_groups
from equisparse.data.audit.finding import Finding
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.magnetic import as_vectors
from equisparse.wording import agreeing, counted

_VISIBLE = 0.3
"""Smallest moment, muB, that is not regarded as zero."""
_ENERGY_DIFFERS = 1e-3  # eV/atom
_MAGNETIC = frozenset([*range(22, 30), *range(40, 48), *range(57, 72), *range(72, 80), *range(89, 104)])
"""Elements whose atoms can carry a moment of their own in solids: d metals from titanium on, and f metals."""
_LIGANDS = frozenset([7, 8, 9, 16, 17, 34, 35, 53])


def moments_without_order(data: FrameSet) -> Iterator[Finding]:
    """Find frames with moments but without input spins."""
    lost = [i for i, f in enumerate(data.frames) if _visible(f.moments).any() and not _spins(f).any()]
    if lost:
        yield data.finding(
            "error" if len(lost) > len(data.frames) / 2 else "warning",
            "moments-without-order",
            f"{counted(len(lost), 'frame has', 'frames have')} moments but no input spins: the magnetic order is no "
            "input of the model",
            lost,
            "store the spins at the start or the end of the calculation as initial_magmoms, or name --spins-key",
        )


def orders_look_alike(data: FrameSet) -> Iterator[Finding]:
    """Find frames of one geometry with different energies whose spins are all parallel: the signs may be lost."""
    signed = [i for i, f in enumerate(data.frames) if _visible(_spins(f)).sum() > 1]
    if not signed or any(_signs_differ(data.frames[i]) for i in signed):
        return
    suspicious = False
    for group in duplicate_groups(data):
        energies = [data.energies[i] / data.n_atoms[i] for i in group if i in set(signed)]
        apart = np.nanmax(energies) - np.nanmin(energies) if len(energies) > 1 else 0.0
        if apart > _ENERGY_DIFFERS:
            suspicious = True
            yield data.finding(
                "error",
                "orders-look-alike",
                f"{len(group)} frames of one geometry differ by {1e3 * apart:.3g} meV/atom, but all their spins are "
                "parallel: an antiferromagnet whose moments were stored as magnitudes?",
                group,
                "store signed moments or vectors, as the code printed them",
            )
    oxides = [i for i in signed if _LIGANDS & set(data.frames[i].numbers.tolist())]
    if oxides and not suspicious:
        yield data.finding(
            "note",
            "all-spins-parallel",
            f"all spins are parallel in all {counted(len(signed), 'frame')} with spins, of which {len(oxides):,} "
            f"{agreeing(len(oxides), 'contains', 'contain')} oxygen, nitrogen, sulphur, selenium or halogens: many "
            "such compounds are antiferromagnets",
            (),
            "check that moments are not stored as magnitudes; exchange cannot be learned from a single magnetic order",
        )


def spins_on_strange_atoms(data: FrameSet) -> Iterator[Finding]:
    """Find input spins on atoms of elements that are not magnetic."""
    strange = [
        i
        for i, f in enumerate(data.frames)
        if (_visible(_spins(f)) & ~np.isin(f.numbers, list(_MAGNETIC))).any() and f.n_atoms > 1
    ]
    if strange:
        yield data.finding(
            "warning",
            "spins-on-non-magnetic-atoms",
            f"{counted(len(strange), 'frame has', 'frames have')} spins above {_VISIBLE} muB on atoms of elements "
            "without d or f moments",
            strange,
            "look for moments in another order of atoms, or for projections on overlapping spheres",
        )


def spin_conventions(data: FrameSet) -> Iterator[Finding]:
    """Find mixed conventions: numbers and vectors, frames with and without spins, and orders that changed."""
    numbers = [i for i, f in enumerate(data.frames) if f.spins is not None and f.spins.ndim == 1]
    vectors = [i for i, f in enumerate(data.frames) if f.spins is not None and f.spins.ndim == 2]
    if numbers and vectors:
        yield data.finding(
            "warning",
            "mixed-spin-conventions",
            f"spins are numbers in {counted(len(numbers), 'frame')} and vectors in {len(vectors):,}; numbers are "
            "read as along z",
            min(numbers, vectors, key=len),
            "no problem without --spin-orbit; with it, z must be the direction of the spins in the calculation",
        )
    bare = [i for i, f in enumerate(data.frames) if not _spins(f).any()]
    if bare and len(bare) < len(data.frames):
        yield data.finding(
            "note",
            "frames-without-spins",
            f"{len(bare):,} of {counted(len(data.frames), 'frame')} {agreeing(len(bare), 'has', 'have')} no spins: "
            "the spin layer has no effect there",
            bare,
            "nothing, if these structures are not magnetic",
        )
    changed = [i for i, f in enumerate(data.frames) if _order_changed(f)]
    if changed:
        yield data.finding(
            "warning",
            "order-changed",
            f"in {counted(len(changed), 'frame')} the order of the moments differs from that of the input spins, "
            "also if all moments are reversed",
            changed,
            "these calculations left their initial order: remove them, or use the final order as input spins",
        )


def _spins(frame: LabelledFrame) -> Floats:
    """Input spins, shape (n_atoms, 3); zeros if there are none."""
    return np.zeros((frame.n_atoms, 3)) if frame.spins is None else as_vectors(frame.spins)


def _visible(vectors: Floats | None) -> NDArray[np.bool_]:
    """Mask of the atoms with a visible moment, shape (n_atoms,); empty without moments."""
    return np.asarray([] if vectors is None else np.linalg.norm(vectors, axis=1) > _VISIBLE, dtype=np.bool_)


def _signs_differ(frame: LabelledFrame) -> bool:
    """Return whether two spins of a frame are not parallel."""
    spins = _spins(frame)[_visible(_spins(frame))]
    unit = spins / np.linalg.norm(spins, axis=1, keepdims=True)
    return bool((unit @ unit[0]).min() < 0.5)


def _order_changed(frame: LabelledFrame) -> bool:
    """Return whether visible moments are parallel to their input spins on some atoms and antiparallel on others."""
    if frame.moments is None or not _spins(frame).any():
        return False
    both = _visible(frame.moments) & _visible(_spins(frame))
    along = (frame.moments[both] * _spins(frame)[both]).sum(axis=1)
    return bool((along > 0).any() and (along < 0).any())
