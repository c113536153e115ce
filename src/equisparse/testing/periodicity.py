"""Laws of forces and stress for molecules, slabs, wires, crystals and isolated atoms.

`check_structures` checks all of them on small structures of its own; a backbone of another package should pass it in
float64. Each check raises AssertionError if its law is violated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray
from torch import Tensor

from equisparse.backbones.base import AbstractBackbone, Predictor
from equisparse.data.frames import has_stress
from equisparse.deploy.calculator import AdaptedCalculator
from equisparse.deploy.merge import MergeCheck, compare
from equisparse.quantities import ENERGY, FORCES, STRESS
from equisparse.testing.backbones import predict
from equisparse.testing.tolerances import ENERGY_TOLERANCE, FINITE_DIFFERENCE, FORCE_TOLERANCE, STRESS_TOLERANCE

_STEP = 5e-5
"""Displacement (Angstrom) and strain of the central differences."""


def structures(symbols: tuple[str, str] = ("Mg", "O"), distance: float = 2.0, vacuum: float = 20.0) -> dict[str, Atoms]:
    """Build small structures of every periodicity, without symmetry, by name.

    Parameters
    ----------
    symbols : tuple of str
        Two elements.
    distance : float
        About the smallest distance of atoms, Angstrom.
    vacuum : float
        Length of the cell in directions that are not periodic, Angstrom: more than cutoff and structure.
    """
    one, two = symbols
    d, random = distance, np.random.default_rng(0)
    shape = np.array([[0, 0, 0], [1, 0.1, 0.05], [0.1, 1.05, 0.2]]) * d
    cluster = Atoms([one, two, two], shape + 0.05 * d * random.normal(size=(3, 3)) + 0.4 * vacuum)
    pair = Atoms([one, two], cluster.positions[:2])
    flat, chained = [[2 * d, 0.1, 0], [0.3, 2.1 * d, 0]], [2 * d, 0.1, 0.2]
    upright, across = [0, 0.1, vacuum], [0, vacuum, 0]
    crystal = [[2.1 * d, 0.1, 0], [0.2, 1.3 * d, 0.1], [0, 0.3, 1.2 * d]]
    return {
        "molecule": cluster,
        "molecule in a box": _in_cell(cluster, [vacuum] * 3, "FFF"),
        "slab": _in_cell(cluster, [*flat, upright], "TTF"),
        "slab without a third vector": _in_cell(cluster, [*flat, [0, 0, 0]], "TTF"),
        "wire": _in_cell(cluster, [chained, across, upright], "TFF"),
        "wire without other vectors": _in_cell(cluster, [chained, [0, 0, 0], [0, 0, 0]], "TFF"),
        "crystal": _in_cell(pair, crystal, "TTT"),
        "cell smaller than the cutoff": _in_cell(pair[:1], [[d, 0.1, 0], [0.2, 1.1 * d, 0], [0, 0.3, 1.2 * d]], "TTT"),
        "isolated atom": pair[:1],
        "isolated atoms over a slab": Atoms(symbols, [[0, 0, 0], [vacuum / 2] * 3], cell=[vacuum] * 3, pbc="TTF"),
    }


def check_structures(backbone: AbstractBackbone, symbols: tuple[str, str] = ("Mg", "O"), distance: float = 2.0) -> None:
    """Check all laws of this module on `structures`, with a vacuum that is wider than the cutoff; float64.

    Parameters
    ----------
    backbone : AbstractBackbone
    symbols, distance
        As of `structures`; the backbone must know the elements.
    """
    frames = structures(symbols, distance, vacuum=3 * distance + 2.1 * backbone.cutoff)
    check_derivatives(backbone, frames)
    check_equal_cells(backbone, frames["slab"])
    check_equal_cells(backbone, frames["wire"])
    check_no_edges(backbone, [atoms for name, atoms in frames.items() if name.startswith("isolated")])
    check_training(backbone, list(frames.values()))


def check_derivatives(backbone: Predictor, frames: Mapping[str, Atoms]) -> None:
    """Check forces, and stresses of frames that have one, against central differences in random directions; float64.

    Parameters
    ----------
    backbone : Predictor
    frames : mapping of str to Atoms
        Structures by name. They are predicted in one batch, so that structures with and without a cell, and with and
        without edges are mixed.
    """
    prediction = predict(backbone, list(frames.values()))
    for quantity, values in prediction.items():
        assert quantity == STRESS or torch.isfinite(values).all(), f"{quantity.name} is not finite"
    forces = torch.split(prediction[FORCES], [len(atoms) for atoms in frames.values()])
    slopes = []
    for index, (name, atoms) in enumerate(frames.items()):
        move, strain = _directions(atoms)
        slopes.append(_Slope(f"forces of: {name}", -_inner(forces[index], move), _moved(atoms, move)))
        if has_stress(atoms):
            work = atoms.get_volume() * _inner(prediction[STRESS][index], strain)
            slopes.append(_Slope(f"stress of: {name}", work, _strained(atoms, strain)))
    energies = predict(backbone, list(chain.from_iterable(slope.pair for slope in slopes)))[ENERGY].reshape(-1, 2)
    for slope, (less, more) in zip(slopes, energies, strict=True):
        FINITE_DIFFERENCE.check(f"{slope.what} against finite differences", slope.analytic, (more - less) / (2 * _STEP))


def check_equal_cells(backbone: Predictor, atoms: Atoms) -> None:
    """Check that the description of the vacuum of a slab or wire changes nothing, in the precision of the backbone.

    The same structure is described with its cell vectors in other orders, moved by a long way, periodic over its
    vacuum, and without the vectors of directions that are not periodic.

    Parameters
    ----------
    backbone : Predictor
    atoms : Atoms
        Slab or wire with a vacuum that is wider than the cutoff.
    """
    same = _descriptions(atoms)
    prediction = predict(backbone, [atoms, *same.values()])
    forces = torch.split(prediction[FORCES], len(atoms))
    for index, (name, other) in enumerate(same.items(), start=1):
        ENERGY_TOLERANCE[backbone.dtype].check(f"energy, {name}", prediction[ENERGY][index], prediction[ENERGY][0])
        FORCE_TOLERANCE[backbone.dtype].check(f"forces, {name}", forces[index], forces[0])
        if has_stress(other):
            STRESS_TOLERANCE[backbone.dtype].check(f"stress, {name}", prediction[STRESS][index], prediction[STRESS][0])


def check_no_edges(backbone: Predictor, frames: Sequence[Atoms]) -> None:
    """Check that frames whose atoms have no neighbours form a batch, with finite energies, no force and no stress."""
    prediction = predict(backbone, frames)
    assert torch.isfinite(prediction[ENERGY]).all(), "the energy of an isolated atom is not finite"
    assert prediction[FORCES].shape == (sum(map(len, frames)), 3), "shape of the forces of isolated atoms"
    assert not prediction[FORCES].any(), "isolated atoms have forces"
    periodic = [index for index, atoms in enumerate(frames) if has_stress(atoms)]
    assert not prediction[STRESS][periodic].any(), "isolated atoms have a stress"


def check_training(backbone: AbstractBackbone, frames: Sequence[Atoms]) -> None:
    """Check that a batch with frames without edges, cell or volume gives finite gradients of all path weights."""
    batch = backbone.collate([backbone.graph(atoms) for atoms in frames])
    prediction = backbone.predict(batch, training=True)
    stress = prediction[STRESS][[has_stress(atoms) for atoms in frames]]
    loss = prediction[ENERGY].square().sum() + prediction[FORCES].square().sum() + stress.square().sum()
    weights = {name: backbone.model.get_parameter(name) for name in backbone.layout().tensors}
    gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    backbone.model.eval()
    for name, gradient in zip(weights, gradients, strict=True):
        assert gradient is None or torch.isfinite(gradient).all(), f"the gradient of {name} is not finite"
    assert any(gradient is not None and gradient.any() for gradient in gradients), "no gradients: an empty check"


def check_ase_calculator(calculator: Calculator, frames: Mapping[str, Atoms]) -> None:
    """Check forces and stress of an ASE calculator in float64 against central differences of its energy.

    Parameters
    ----------
    calculator : Calculator
    frames : mapping of str to Atoms
        Structures by name; frames without a stress must have none in the results.
    """
    for name, atoms in frames.items():
        move, strain = _directions(atoms)
        work = -float((calculator.get_forces(atoms) * move).sum())
        _check_slope(calculator, f"forces of: {name}", work, _moved(atoms, move))
        if not has_stress(atoms):
            assert "stress" not in calculator.results, f"a stress of: {name}"
            continue
        stress = voigt_6_to_full_3x3_stress(calculator.get_stress(atoms))
        work = atoms.get_volume() * float((stress * strain).sum())
        _check_slope(calculator, f"stress of: {name}", work, _strained(atoms, strain))


def check_native_file(backbone: AbstractBackbone, path: Path, symbols: tuple[str, str] = ("Mg", "O")) -> MergeCheck:
    """Check that the comparison after a merge finds slabs and wires equal, in any order of cell vectors.

    Parameters
    ----------
    backbone : AbstractBackbone
    path : Path
        Target of the native file, which is not removed.
    symbols : tuple of str
        As of `structures`.
    """
    frames = structures(symbols, vacuum=6 + 2.1 * backbone.cutoff)
    backbone.save_native(path, {})
    turned = [other for name in ("slab", "wire") for other in _descriptions(frames[name]).values()]
    check = compare(AdaptedCalculator(backbone), backbone, path, [*frames.values(), *turned])
    assert check.equal, str(check)
    return check


@dataclass(frozen=True)
class _Slope:
    """A derivative of the energy of one structure: as predicted, and the pair of structures to compute it from."""

    what: str
    analytic: Tensor
    pair: tuple[Atoms, Atoms]


def _check_slope(calculator: Calculator, what: str, analytic: float, pair: tuple[Atoms, Atoms]) -> None:
    """Compare a derivative with the central difference of the energies of two structures."""
    less, more = (calculator.get_potential_energy(atoms) for atoms in pair)
    numeric = torch.tensor((more - less) / (2 * _STEP), dtype=torch.float64)
    FINITE_DIFFERENCE.check(f"{what} against finite differences", torch.tensor(analytic).to(numeric), numeric)


def _in_cell(atoms: Atoms, cell: Sequence[object], pbc: str) -> Atoms:
    """Copy with a cell; `pbc` holds T or F for each vector."""
    copy: Atoms = atoms.copy()
    copy.set_cell(cell)
    copy.pbc = [letter == "T" for letter in pbc]
    return copy


def _descriptions(atoms: Atoms) -> dict[str, Atoms]:
    """Other descriptions of the same slab or wire, by name."""
    cell, pbc = atoms.cell.array, atoms.pbc
    far: Atoms = atoms.copy()
    far.positions += [17.0, -5.0, -31.0]
    closed: Atoms = atoms.copy()
    closed.pbc = True
    bare: Atoms = atoms.copy()
    bare.set_cell(np.where(pbc[:, np.newaxis], cell, 0.0))
    orders = {f"cell vectors in the order {order}": list(order) for order in ((1, 2, 0), (2, 0, 1))}
    turned = {name: atoms.copy() for name in orders}
    for name, order in orders.items():
        turned[name].set_cell(cell[order])
        turned[name].pbc = pbc[order]
    return {"moved": far, "periodic over the vacuum": closed, "without vacuum vectors": bare, **turned}


def _directions(atoms: Atoms) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Random displacements of all atoms, and a random symmetric strain."""
    random = np.random.default_rng(1)
    strain = random.normal(size=(3, 3))
    return random.normal(size=(len(atoms), 3)), (strain + strain.T) / 2


def _inner(values: Tensor, direction: NDArray[np.float64]) -> Tensor:
    """Sum of the products of all components."""
    return (values * torch.as_tensor(direction).to(values)).sum()


def _moved(atoms: Atoms, move: NDArray[np.float64]) -> tuple[Atoms, Atoms]:
    """Two copies, displaced by a step against and along a direction."""
    less, more = atoms.copy(), atoms.copy()
    less.positions -= _STEP * move
    more.positions += _STEP * move
    return less, more


def _strained(atoms: Atoms, strain: NDArray[np.float64]) -> tuple[Atoms, Atoms]:
    """Two copies, strained by a step against and along a direction."""
    less, more = atoms.copy(), atoms.copy()
    less.set_cell(atoms.cell[:] @ (np.eye(3) - _STEP * strain), scale_atoms=True)
    more.set_cell(atoms.cell[:] @ (np.eye(3) + _STEP * strain), scale_atoms=True)
    return less, more
