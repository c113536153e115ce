"""Checks of structures before a model predicts them, and warnings about what it predicts."""

import warnings
from collections.abc import Mapping, Sequence

from ase import Atoms

from equisparse.backbones.base import Predictor
from equisparse.backbones.elements import check_elements
from equisparse.data.audit.finding import format_frames
from equisparse.data.finite import check_finite, not_finite
from equisparse.data.frames import Floats
from equisparse.data.lattice import check_lattice
from equisparse.data.references import unfitted_elements
from equisparse.errors import DataError, EquisparseWarning
from equisparse.quantities import Quantity


def check_structures(backbone: Predictor, structures: Sequence[Atoms]) -> None:
    """Check that a model can predict some structures.

    Raises
    ------
    BackboneError
        If the base does not know an element.
    DataError
        If a structure has no atoms, positions or cell vectors that are not finite, or no cell vector in a periodic
        direction.
    """
    for index, atoms in enumerate(structures):
        _require_atoms(atoms, index)
    check_elements(backbone, structures)
    check_finite(structures)
    for index, atoms in enumerate(structures):
        check_lattice(atoms, f"{atoms.symbols.get_chemical_formula()}, structure with index {index}")


def warn_of_unfitted(shifts: Mapping[int, float], structures: Sequence[Atoms]) -> None:
    """Warn of elements without a fitted reference energy; see `equisparse.data.references.unfitted_elements`."""
    names = unfitted_elements(shifts, {z for atoms in structures for z in set(atoms.numbers.tolist())})
    if names:
        warnings.warn(
            f"the adapter has no fitted reference energy for {', '.join(names)}, because it was trained without "
            "energies of these elements: their energies are on another scale than those of the other elements. "
            "Forces and stress are not affected.",
            EquisparseWarning,
            stacklevel=3,
        )


def warn_of_not_finite(predicted: Mapping[Quantity, Floats], structures: Sequence[Atoms], name: str = "") -> None:
    """Warn of structures with a prediction that is NaN or infinite.

    Parameters
    ----------
    predicted, structures
        As in `equisparse.data.finite.not_finite`.
    name : str
        Name of the set of structures, such as ``valid``.
    """
    bad = not_finite(predicted, structures)
    if bad:
        warnings.warn(
            f"the model predicts NaN or infinite values for {_named(bad, structures, name)}. Look for coinciding "
            "atoms, or for a training that diverged.",
            EquisparseWarning,
            stacklevel=3,
        )


def _require_atoms(atoms: Atoms, index: int) -> None:
    """Raise DataError if a structure has no atoms."""
    if not len(atoms):
        raise DataError(
            "A structure has no atoms.",
            given=f"structure with index {index}",
            cause="a selection that matched no atoms",
            next_step="remove the structure",
        )


def _named(bad: Sequence[int], structures: Sequence[Atoms], name: str) -> str:
    """Structures by index and by the formula of the first."""
    formula = structures[bad[0]].symbols.get_chemical_formula()
    if len(structures) == 1:
        return str(formula)
    frames = f"{name} frames".strip()
    return f"{frames} {format_frames(bad)}, the first is {formula}; errors are those of the other frames"


def bare(atoms: Atoms) -> Atoms:
    """Copy with species, positions and cell only."""
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell.array, pbc=atoms.pbc)
