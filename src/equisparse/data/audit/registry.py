"""Checks of an audit, in the order of their reports. A new check is one function and one line here."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from equisparse.data.audit.against_base import energies_against_base, forces_against_base, stress_against_base
from equisparse.data.audit.context import FrameSet
from equisparse.data.audit.duplicates import duplicates, leakage
from equisparse.data.audit.energies import (
    energy_matches_forces,
    enthalpies,
    one_reference,
    outliers,
    separable_elements,
)
from equisparse.data.audit.finding import Finding, sort_findings
from equisparse.data.audit.labels import (
    constrained_zeros,
    labels_finite,
    labels_present,
    labels_zero,
    net_force,
    scf_converged,
    stress_plausible,
)
from equisparse.data.audit.magnetic import (
    moments_without_order,
    orders_look_alike,
    spin_conventions,
    spins_on_strange_atoms,
)
from equisparse.data.audit.structure import (
    cells,
    close_atoms,
    few_frames,
    isolated_atoms,
    known_elements,
    one_charge,
)
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.errors import DataError
from equisparse.quantities import ENERGY, FORCES, Quantity

SET_CHECKS: tuple[Callable[[FrameSet], Iterator[Finding]], ...] = (
    known_elements,
    labels_present,
    labels_finite,
    labels_zero,
    scf_converged,
    constrained_zeros,
    forces_against_base,
    energies_against_base,
    stress_against_base,
    energy_matches_forces,
    one_reference,
    duplicates,
    one_charge,
    close_atoms,
    cells,
    enthalpies,
    net_force,
    stress_plausible,
    outliers,
    isolated_atoms,
    separable_elements,
    few_frames,
    moments_without_order,
    orders_look_alike,
    spins_on_strange_atoms,
    spin_conventions,
)
"""Checks that run on each set of frames by itself."""


def audit(
    train: Sequence[LabelledFrame],
    valid: Sequence[LabelledFrame] | None = None,
    test: Sequence[LabelledFrame] | None = None,
    elements: set[int] | None = None,
    base: Mapping[Quantity, Floats] | None = None,
    *,
    spins: bool = False,
) -> list[Finding]:
    """Find problems in labelled frames that would spoil a fine-tune.

    Parameters
    ----------
    train, valid, test : sequence of LabelledFrame
        Frames; `valid` and `test` are optional.
    elements : set of int, optional
        Atomic numbers that the base model knows.
    base : mapping of Quantity to array, optional
        Predictions of the base model for `train`: units, signs and orders are then checked against it. Energies, and
        forces of all frames one after the other; a stress only if the model predicts it, NaN for frames without one.
    spins : bool
        Whether the model to be trained has a spin layer: one structure in two magnetic orders is then no problem.

    Returns
    -------
    list of Finding
        Errors first. Frame indices refer to the list that `Finding.dataset` names.

    Raises
    ------
    DataError
        If there are no training frames, or the predictions do not belong to them.
    """
    if not train:
        raise DataError("There are no training frames.", next_step="give a file with at least one frame")
    _require_fit(train, base)
    sets = {"train": FrameSet("train", train, elements, base, spins=spins)}
    others = (("valid", valid), ("test", test))
    sets |= {name: FrameSet(name, frames, elements, spins=spins) for name, frames in others if frames}
    findings = [finding for data in sets.values() for check in SET_CHECKS for finding in check(data)]
    return sort_findings([*findings, *leakage(sets)])


def _require_fit(train: Sequence[LabelledFrame], base: Mapping[Quantity, Floats] | None) -> None:
    """Raise DataError if predictions have another number of frames or atoms than the training set."""
    if base is None:
        return
    n_atoms = sum(frame.n_atoms for frame in train)
    if all(len(values) == quantity.count(len(train), n_atoms) for quantity, values in base.items()):
        return
    raise DataError(
        "The base predictions do not belong to the training frames.",
        given=f"{len(base[ENERGY])} energies, {len(base[FORCES])} forces",
        expected=f"{len(train)} frames, {n_atoms} atoms, in the same order",
    )
