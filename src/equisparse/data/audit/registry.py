"""Checks of an audit, in the order of their reports. A new check is one function and one line here."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from equisparse.data.audit.against_base import (
    base_finite,
    energies_against_base,
    forces_against_base,
    stress_against_base,
)
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
from equisparse.wording import counted

SET_CHECKS: tuple[Callable[[FrameSet], Iterator[Finding]], ...] = (
    known_elements,
    labels_present,
    labels_finite,
    labels_zero,
    scf_converged,
    constrained_zeros,
    base_finite,
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
    train, valid, test, elements, spins
        As in `frame_sets`.
    base : mapping of Quantity to array, optional
        Predictions of the base model for `train`: units, signs and orders are then checked against it. Energies, and
        forces of all frames one after the other; a stress only if the model predicts it, NaN for frames without one.
        `audit_sets` takes predictions for all sets.

    Returns
    -------
    list of Finding
        As in `audit_sets`.

    Raises
    ------
    DataError
        If there are no training frames, or the predictions do not belong to them.
    """
    sets = frame_sets(train, valid, test, elements, spins=spins)
    if base is not None:
        sets["train"] = sets["train"].with_base(base)
    return audit_sets(sets)


def frame_sets(
    train: Sequence[LabelledFrame],
    valid: Sequence[LabelledFrame] | None = None,
    test: Sequence[LabelledFrame] | None = None,
    elements: set[int] | None = None,
    *,
    spins: bool = False,
) -> dict[str, FrameSet]:
    """Sets of frames under audit, by name.

    Parameters
    ----------
    train, valid, test : sequence of LabelledFrame
        Frames; `valid` and `test` are optional.
    elements : set of int, optional
        Atomic numbers that the base model knows.
    spins : bool
        Whether the model to be trained has a spin layer: one structure in two magnetic orders is then no problem.

    Raises
    ------
    DataError
        If there are no training frames.
    """
    if not train:
        raise DataError("There are no training frames.", next_step="give a file with at least one frame")
    named = {"train": train, "valid": valid, "test": test}
    return {name: FrameSet(name, frames, elements, spins=spins) for name, frames in named.items() if frames}


def audit_sets(sets: Mapping[str, FrameSet]) -> list[Finding]:
    """Run all checks on every set, and search for training frames in the other sets.

    Parameters
    ----------
    sets : mapping of str to FrameSet
        From `frame_sets`; those with predictions of the base are checked against it.

    Returns
    -------
    list of Finding
        Errors first. Frame indices refer to the list that `Finding.dataset` names.

    Raises
    ------
    DataError
        If predictions do not belong to the frames of a set.
    """
    for data in sets.values():
        _require_fit(data)
    findings = [finding for data in sets.values() for check in SET_CHECKS for finding in check(data)]
    return sort_findings([*_once(findings), *leakage(sets)])


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """Findings without a second one of no labels: the names of the labels are the same for all sets."""
    without = [finding for finding in findings if finding.code == "no-labels"]
    return [finding for finding in findings if finding not in without[1:]]


def _require_fit(data: FrameSet) -> None:
    """Raise DataError if predictions have another number of frames or atoms than the set."""
    n_frames, n_atoms = len(data.frames), sum(frame.n_atoms for frame in data.frames)
    if data.base is None or all(len(v) == quantity.count(n_frames, n_atoms) for quantity, v in data.base.items()):
        return
    raise DataError(
        "The base predictions do not belong to the frames.",
        given=f"{counted(len(data.base[ENERGY]), 'energy', 'energies')}, {counted(len(data.base[FORCES]), 'force')}",
        expected=f"{counted(n_frames, f'{data.name} frame')}, {counted(n_atoms, 'atom')}, in the same order",
    )
