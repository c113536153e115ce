"""Frames with consistent energies, forces and stresses, from the effective-medium potential of ASE."""

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from equisparse.data.frames import Floats, LabelledFrame
from equisparse.quantities import ENERGY, FORCES, STRESS, Quantity


def label(atoms: Atoms, index: int = 0) -> LabelledFrame:
    """Label a structure with the effective-medium potential."""
    atoms = atoms.copy()
    atoms.calc = EMT()
    stress = atoms.get_stress(voigt=False) if atoms.pbc.all() else None
    energy, forces = float(atoms.get_potential_energy()), atoms.get_forces()
    atoms.calc = None
    return LabelledFrame(atoms, {}, "made.xyz", index).with_labels({ENERGY: energy, FORCES: forces, STRESS: stress})


def perturbed(seed: int, size: float = 0.08) -> Atoms:
    """Make a strained, displaced Cu-Ag cell of 8 atoms with 1 to 4 Ag atoms."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", "fcc", 3.75, cubic=True).repeat((2, 1, 1))
    atoms.symbols[rng.permutation(8)[: 1 + seed % 4]] = "Ag"
    strain = rng.normal(0, 0.02, (3, 3))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain + strain.T), scale_atoms=True)
    atoms.positions += rng.normal(0, size, (8, 3))
    return atoms


@pytest.fixture(scope="session")
def make() -> Callable[..., LabelledFrame]:
    """Function that labels a structure."""
    return label


@pytest.fixture(scope="session")
def healthy() -> list[LabelledFrame]:
    """Twenty-four independent frames in which nothing is wrong."""
    return [label(perturbed(seed), seed) for seed in range(24)]


@pytest.fixture(scope="session")
def trajectory() -> list[LabelledFrame]:
    """Twelve frames, each a small step from the one before."""
    rng = np.random.default_rng(7)
    atoms = perturbed(3)
    frames = []
    for index in range(12):
        atoms.positions += rng.normal(0, 0.04, (8, 3))
        frames.append(label(atoms, index))
    return frames


@pytest.fixture(scope="session")
def base(healthy: list[LabelledFrame]) -> dict[Quantity, Floats]:
    """A base model that is 20 % soft, a little noisy, and has other reference energies."""
    rng = np.random.default_rng(1)
    energy = [0.8 * f.energy + 2.0 * (f.numbers == 29).sum() + 0.01 * rng.normal() for f in healthy]
    forces = [0.8 * f.forces + 0.02 * rng.normal(size=f.forces.shape) for f in healthy]
    stress = [0.8 * f.stress + 1e-4 for f in healthy]
    return {ENERGY: np.array(energy), FORCES: np.concatenate(forces), STRESS: np.array(stress)}


@pytest.fixture(scope="session")
def rotation() -> Floats:
    """A proper rotation matrix without symmetry."""
    matrix, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    return np.asarray(matrix * np.sign(np.linalg.det(matrix)))
