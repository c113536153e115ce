"""Relaxed structures."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.filters import FrechetCellFilter
from ase.optimize import LBFGS

from equisparse.data.kind import is_bonded_once
from equisparse.errors import DataError, EquisparseError
from equisparse.inference.structures import bare
from equisparse.wording import counted

Free = Literal["atoms", "atoms and shape", "atoms and cell"]
"""Degrees of freedom of a relaxation; the volume is fixed in the second case."""

_MOST_EXPANDED = 2.0
"""Factor of the volume, or its inverse, at which a relaxation is given up."""
_LONGEST_STEP = 0.1  # Angstrom


class NotRelaxedError(EquisparseError):
    """A structure does not relax with a model; the message is one line."""


@dataclass(frozen=True)
class RelaxOptions:
    """Convergence and length of relaxations.

    Parameters
    ----------
    force : float
        Largest force at the end, eV/Angstrom; for a cell also the largest of its generalised forces.
    steps : int
        Largest number of steps.
    """

    force: float = 0.005
    steps: int = 500


def relaxed(atoms: Atoms, calculator: Calculator, free: Free, options: RelaxOptions) -> Atoms:
    """Relax a structure with LBFGS; the cell as in `ase.filters.FrechetCellFilter`.

    Parameters
    ----------
    atoms : Atoms
        Initial structure; it is not changed.
    calculator : Calculator
    free : {"atoms", "atoms and shape", "atoms and cell"}
    options : RelaxOptions

    Returns
    -------
    Atoms
        With the calculator.

    Raises
    ------
    NotRelaxedError
        If forces are too large after all steps, the volume doubles or halves, or a molecule falls apart.
    """
    moving = bare(atoms)
    moving.calc = calculator
    target: Any = moving
    if free != "atoms":
        target = FrechetCellFilter(moving, constant_volume=free == "atoms and shape")
    for _ in _steps(LBFGS(target, logfile=os.devnull, maxstep=_LONGEST_STEP), options):
        _check_volume(moving, atoms)
    if not np.linalg.norm(target.get_forces(), axis=1).max() <= options.force:
        force = np.linalg.norm(target.get_forces(), axis=1).max()
        raise NotRelaxedError(
            f"the largest force is still {force:.3g} eV/Angstrom after {counted(options.steps, 'step')}"
        )
    if free == "atoms" and is_bonded_once(atoms) and not is_bonded_once(moving):
        raise NotRelaxedError("the molecule falls apart")
    return moving


def _steps(optimizer: LBFGS, options: RelaxOptions) -> Iterator[object]:
    """Steps of a relaxation, until it has converged."""
    try:
        yield from optimizer.irun(fmax=options.force, steps=options.steps)
    except DataError as error:  # positions that are not finite, or a cell without a volume
        raise NotRelaxedError("positions or cell are no longer finite") from error


def _check_volume(moving: Atoms, start: Atoms) -> None:
    """Raise NotRelaxedError if the volume of a cell has doubled or halved; a slab may have no cell vector across it."""
    if start.pbc.any() and start.cell.rank == 3:
        factor = moving.get_volume() / start.get_volume()
        if not 1 / _MOST_EXPANDED < factor < _MOST_EXPANDED:
            raise NotRelaxedError(f"the volume became {factor:.2g} times that at the start")
