"""Values that are not finite: in structures, where they are refused, and in predictions, where frames are named."""

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms

from equisparse.data.frames import Floats, has_stress
from equisparse.errors import DataError
from equisparse.quantities import STRESS, Quantity


def check_finite(structures: Sequence[Atoms]) -> None:
    """Raise DataError if positions or cell vectors of a structure are NaN or infinite."""
    for index, atoms in enumerate(structures):
        if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
            raise DataError(
                "Positions or cell vectors are NaN or infinite.",
                given=f"{atoms.symbols.get_chemical_formula()}, structure with index {index} of {len(structures)}",
                cause="a simulation that diverged, or a damaged file",
                next_step="remove the structure, or go back to a step before the simulation diverged",
            )


def not_finite(predicted: Mapping[Quantity, Floats], structures: Sequence[Atoms]) -> list[int]:
    r"""Find structures with a prediction that is NaN or infinite.

    Parameters
    ----------
    predicted : mapping of Quantity to array, shape (n_structures, \...) or (n_all_atoms, \...)
        Result of `equisparse.inference.predict.evaluate`. The stress of structures without one is ignored.
    structures : sequence of Atoms

    Returns
    -------
    list of int
        Indices in rising order.
    """
    owners = np.repeat(np.arange(len(structures)), [len(atoms) for atoms in structures])
    bad = np.zeros(len(structures), dtype=np.bool_)
    for quantity, values in predicted.items():
        finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if quantity == STRESS:
            finite |= ~np.array([has_stress(atoms) for atoms in structures], dtype=np.bool_)
        bad[owners[~finite] if quantity.per == "atom" else np.flatnonzero(~finite)] = True
    return [int(index) for index in np.flatnonzero(bad)]
